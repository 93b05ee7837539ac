-- Events that were gone when the log was reopened, in ranges of positions. The origin that began then goes on over them: their leaves are
-- those of full tiles, or, where no tile has one, what says that the event is lost.
create table audit.lost_events (
    origin integer not null references audit.origins,
    first  bigint  not null,
    last   bigint  not null constraint lost_events_in_order check (first <= last),
    primary key (origin, first)
);

grant select, insert on audit.lost_events to audit;

---- create above / drop below ----

drop table audit.lost_events;
