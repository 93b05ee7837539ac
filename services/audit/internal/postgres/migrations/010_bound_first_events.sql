-- The trail becomes a table of monthly partitions, and what is there becomes the first of them without being written anew. This bounds
-- it: by the first of a month that is at least a week away, which the next migrations have for their work, or, when the clock of some
-- program was wrong, of the month after the latest event. The lock is short, and is given up and asked for again rather than waited for.

do $$
declare
    latest timestamptz;
begin
    set local lock_timeout = '2s';
    for attempt in 1..30 loop
        begin
            lock table audit.coordination in share update exclusive mode;
            lock table audit.events in access exclusive mode;
            exit;
        exception when lock_not_available then
            if attempt = 30 then
                raise;
            end if;
            perform pg_sleep(1);
        end;
    end loop;
    select max(time) into latest from audit.events;
    execute format('alter table audit.events add constraint events_first_bound check (time < %L) not valid',
        (date_trunc('month', greatest(now() + interval '7 days', latest) at time zone 'UTC') + interval '1 month') at time zone 'UTC');
end
$$;

---- create above / drop below ----

alter table audit.events drop constraint events_first_bound;
