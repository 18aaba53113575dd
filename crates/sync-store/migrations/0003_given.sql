-- Which fields of a project somebody gave, a bit for each: a scan does not replace them.
alter table project add column given integer not null default 0;

pragma user_version = 3;
