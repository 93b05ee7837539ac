-- Reads the whole table while others write to it, so that making it a partition need not.
alter table audit.events validate constraint events_first_bound;

---- create above / drop below ----

-- Nothing to take back.
select 1;
