-- Origins that sign no more, because the log was found to be smaller or other than what somebody knows to be signed; and what witnesses have
-- said to checkpoints. Both are only added to.

create table audit.halts (
    origin     integer     primary key references audit.origins,
    time       timestamptz not null default now(),
    cause      text        not null,
    checkpoint text        not null default '' -- the last one that is known, a signed note
);

create table audit.cosignatures (
    origin  integer     not null,
    size    bigint      not null,
    witness text        not null,
    line    text        not null, -- of the note
    time    timestamptz not null default now(),
    primary key (origin, size, witness),
    foreign key (origin, size) references audit.checkpoints (origin, size)
);

grant select, insert on audit.halts, audit.cosignatures to audit;

---- create above / drop below ----

drop table audit.cosignatures;
drop table audit.halts;
