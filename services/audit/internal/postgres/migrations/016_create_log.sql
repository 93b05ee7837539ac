-- The log: a Merkle tree over the canonical bytes of all events, in the order of their positions. All of it is only added to; the serving role
-- can neither change nor remove what it has signed.

-- Whoever goes on with the log holds the lock of this table until its commit. It has no rows; PostgreSQL lets a role lock a table that it may
-- update.
create table audit.sequencer (id boolean primary key);

-- Full tiles of 256 hashes: level 0 has the hashes of the events at positions 256 * index + 1 and on, each other level the roots of the tiles
-- below it. What no tile has yet follows from the last events and the last roots.
create table audit.tiles (
    level  smallint not null,
    index  bigint   not null,
    root   bytea    not null constraint tiles_root_length check (octet_length(root) = 32),
    hashes bytea    not null constraint tiles_hashes_length check (octet_length(hashes) = 8192),
    primary key (level, index)
);

-- Hashes do not get smaller by compression.
alter table audit.tiles alter column hashes set storage external;

-- Names under which checkpoints are signed, the last one now. A new one begins when the log was reopened after a rewind; it names why, and the
-- last checkpoint that was known of the one before.
create table audit.origins (
    number     integer     primary key constraint origins_number_counts check (number > 0),
    origin     text        not null constraint origins_origin_key unique,
    time       timestamptz not null default now(),
    reason     text        not null default '',
    checkpoint text        not null default ''
);

-- What was signed: the number of leaves, their root hash, and the note.
create table audit.checkpoints (
    origin integer     not null references audit.origins,
    size   bigint      not null constraint checkpoints_size_positive check (size > 0),
    root   bytea       not null constraint checkpoints_root_length check (octet_length(root) = 32),
    time   timestamptz not null default now(),
    note   text        not null,
    primary key (origin, size)
);

-- Hashes of events that were dropped, where no full tile has them yet. Only the owner adds to it, in the transaction that drops them.
create table audit.dropped_leaves (
    position bigint primary key,
    hash     bytea  not null constraint dropped_leaves_hash_length check (octet_length(hash) = 32)
);

grant select, update on audit.sequencer to audit;
grant select, insert on audit.tiles, audit.origins, audit.checkpoints to audit;
grant select on audit.dropped_leaves to audit;

---- create above / drop below ----

drop table audit.dropped_leaves;
drop table audit.checkpoints;
drop table audit.origins;
drop table audit.tiles;
drop table audit.sequencer;
