-- Users whose deletion Identity was about to begin: they count as nobody's last administrator or owner any more. The deletion itself removes
-- their relationships, by which they exist here; a row only matters until then.

create table authz.departures (
    subject      text        primary key,
    reserve_time timestamptz not null
);

create index departures_reserved on authz.departures (reserve_time);

---- create above / drop below ----

drop table authz.departures;
