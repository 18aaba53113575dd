-- A look at a few places reads the records of these places only, present or not. Presence goes along so that counting
-- projects needs no more than this index.
create index project_place on project (device, inode, presence);
create index project_any_root on project (root);

pragma user_version = 4;
