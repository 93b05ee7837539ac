-- What a search by names is led by: the words of the personal values of events, such as those of display names and addresses of mails.
-- Background work of the serving instances brings them in, the old ones too (trail.Names); nothing here reads the trail.

-- Each column beside the word leads to the events of one reader, so that a search looks at those alone (R93). Words are compared by their
-- bytes, or a prefix would be no range. No foreign keys: they would lock and write a row of the value for each word.
create table audit.names (
    position        bigint      not null,
    field           text        not null,
    word            text        not null collate "C",
    time            timestamptz not null,
    organization_id uuid,
    actor_id        text        not null,
    object_id       text        not null,
    primary key (position, field, word)
);

create index names_by_word on audit.names (word, time, position);
create index names_by_organization on audit.names (organization_id, word, time, position) where organization_id is not null;
create index names_by_actor on audit.names (actor_id, word, time, position) where actor_id <> '';
create index names_by_object on audit.names (object_id, word, time, position) where object_id <> '';

-- How far that work is: it holds the row while it works. latest is the time of the latest event up to the position, marked that of the
-- last mark.
create table audit.names_progress (
    id       boolean     primary key default true constraint names_progress_one check (id),
    position bigint      not null default 0,
    latest   timestamptz not null default '-infinity',
    marked   bigint      not null default 0
);

insert into audit.names_progress default values;

-- Nothing that is stored up to the position happened after the time: who follows from a later time on begins there.
create table audit.marks (
    time     timestamptz not null,
    position bigint      not null,
    primary key (time, position)
);

-- Whoever removes a personal value removes its words with it. A value that is read for its words at that moment has to be stored with
-- them first, or they would come back; its words are seen then, if the transaction is not one that sees only what was there before it.
create function audit.forget_names() returns trigger language plpgsql as $$
begin
    perform from audit.names_progress for update;
    delete from audit.names using gone where names.position = gone.position and names.field = gone.field;
    return null;
end
$$;

-- The lock of whoever appends comes first, as everywhere: with it nobody writes the table of the values, and its lock is there at once.
do $$
begin
    set local lock_timeout = '2s';
    for attempt in 1..30 loop
        begin
            lock table audit.coordination in share update exclusive mode;
            lock table audit.personal_values in share row exclusive mode;
            exit;
        exception when lock_not_available then
            if attempt = 30 then
                raise;
            end if;
            perform pg_sleep(1);
        end;
    end loop;
end
$$;

create trigger forget_names after delete on audit.personal_values
    referencing old table as gone for each statement execute function audit.forget_names();

grant select, insert on audit.names, audit.marks to audit;
grant select, update on audit.names_progress to audit;

---- create above / drop below ----

drop trigger forget_names on audit.personal_values;
drop function audit.forget_names();
drop table audit.marks;
drop table audit.names_progress;
drop table audit.names;
