-- The cloud is not asked about projects that are gone, until they are back. Their mappings are kept, and looked up when
-- somebody asks.
create trigger project_gone after update of presence on project when old.presence = 0 and new.presence = 1 begin
    update mapping set refresh_at = 9223372036854775807
    where scope in (select id from scope) and local = new.local;
end;

create trigger project_back after update of presence on project when old.presence = 1 and new.presence = 0 begin
    update mapping set refresh_at = cached_at
    where scope in (select id from scope) and local = new.local and refresh_at = 9223372036854775807;
end;

update mapping set refresh_at = 9223372036854775807
where exists (select 1 from project p where p.local = mapping.local and p.presence = 1);

pragma user_version = 5;
