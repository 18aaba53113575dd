-- When a project's root folder was made, in nanoseconds since 1970: file systems give the numbers of deleted folders to
-- new ones.
alter table project add column born integer;

pragma user_version = 2;
