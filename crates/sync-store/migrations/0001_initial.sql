-- The first shape of the database. Never edited once released: a change is a new file.
-- UUIDs and hashes are 16-byte blobs, paths raw bytes, moments milliseconds since 1970 in UTC.

-- "cosd"
pragma application_id = 1668248420;

create table meta (
    key text primary key,
    value text not null
) strict, without rowid;

create table scope (
    id integer primary key autoincrement,
    origin text not null,
    -- unknown, opaque or named
    kind text not null,
    -- empty unless named
    tenant text not null,
    unique (origin, kind, tenant)
) strict;

create table project (
    local blob primary key check (length(local) = 16),
    root blob not null,
    device integer,
    inode integer,
    vcs_device integer,
    vcs_inode integer,
    vcs text not null,
    name text not null,
    language text not null,
    framework text not null,
    content_hash text not null,
    kind text not null,
    parent blob,
    -- 0 present, 1 missing
    presence integer not null,
    -- 0 by a user, 1 by discovery
    asked integer not null,
    first_seen_at integer not null,
    seen_at integer not null
) strict, without rowid;

create unique index project_root on project (root) where presence = 0;

-- At most one row for each (scope, operation, project): the newest wish.
create table outbox (
    id integer primary key autoincrement,
    scope integer not null references scope (id),
    -- 0 register
    operation integer not null,
    local blob not null check (length(local) = 16),
    machine blob not null,
    name text not null,
    root blob not null,
    language text not null,
    framework text not null,
    content_hash text not null,
    kind text not null,
    parent blob,
    -- of everything from local to parent
    hash blob not null,
    -- of the payload, to bound the queue
    bytes integer not null,
    -- only grows
    revision integer not null,
    -- 0 by a user, 1 by discovery
    asked integer not null,
    -- 0 ready, 1 parked, 2 dead
    standing integer not null,
    attempts integer not null,
    due integer not null,
    enqueued_at integer not null,
    -- when the content was last replaced
    changed_at integer not null,
    failure_code text,
    failure_message text,
    failure_at integer,
    unique (scope, operation, local)
) strict;

-- The order of sending within each standing; also answers counts and the next due time.
create index outbox_order on outbox (scope, standing, asked, due, id);

-- How many rows and bytes wait, kept by triggers so that no enqueue has to count.
create table tally (
    scope integer not null,
    standing integer not null,
    rows integer not null,
    bytes integer not null,
    primary key (scope, standing)
) strict, without rowid;

create trigger scope_tally after insert on scope begin
    insert into tally (scope, standing, rows, bytes)
    values (new.id, 0, 0, 0), (new.id, 1, 0, 0), (new.id, 2, 0, 0);
end;

create trigger outbox_in after insert on outbox begin
    update tally set rows = rows + 1, bytes = bytes + new.bytes
    where scope = new.scope and standing = new.standing;
end;

create trigger outbox_out after delete on outbox begin
    update tally set rows = rows - 1, bytes = bytes - old.bytes
    where scope = old.scope and standing = old.standing;
end;

create trigger outbox_change after update of scope, standing, bytes on outbox
when old.scope <> new.scope or old.standing <> new.standing or old.bytes <> new.bytes begin
    update tally set rows = rows - 1, bytes = bytes - old.bytes
    where scope = old.scope and standing = old.standing;
    update tally set rows = rows + 1, bytes = bytes + new.bytes
    where scope = new.scope and standing = new.standing;
end;

-- Projects whose entry was taken out of the queue: they wait again only when they change or somebody asks.
create table dropped (
    scope integer not null references scope (id),
    local blob not null check (length(local) = 16),
    primary key (scope, local)
) strict, without rowid;

create trigger outbox_again after insert on outbox begin
    delete from dropped where scope = new.scope and local = new.local;
end;

create table mapping (
    scope integer not null references scope (id),
    local blob not null check (length(local) = 16),
    cloud blob not null check (length(cloud) = 16),
    tenant text,
    status text not null,
    -- the payload hash that was sent last
    sent blob,
    revision integer not null,
    cached_at integer not null,
    expires_at integer not null,
    refresh_at integer not null,
    primary key (scope, local)
) strict, without rowid;

create index mapping_cloud on mapping (scope, cloud);
create index mapping_refresh on mapping (scope, refresh_at);

create table event (
    id integer primary key autoincrement,
    at integer not null,
    kind text not null,
    local blob,
    message text not null
) strict;

-- What was taken over from the old client's databases and may still be there: it is never taken twice.
create table legacy_taken (
    -- of the database it is from
    file blob not null,
    -- of its table: the row's number, or whom it is about
    item blob not null,
    -- stands for what the row said
    content blob not null,
    primary key (file, item)
) strict, without rowid;

-- Rows of the old client's databases that say nothing that could be kept, as they were.
create table legacy_aside (
    id integer primary key autoincrement,
    file blob not null,
    item blob not null,
    operation text not null,
    payload blob not null,
    reason text not null,
    at integer not null
) strict;

pragma user_version = 1;
