-- What the instances of this program share, where no other role of the database can reach it. Whoever adds to the trail holds the lock of
-- this table until its commit; the one row names the channel on which they tell each other that something was stored. PostgreSQL lets a
-- role lock a table that it may update; there is nothing in this one to change.
create table audit.coordination (
    channel text primary key
);

insert into audit.coordination (channel) values ('audit_' || replace(gen_random_uuid()::text, '-', ''));

grant select, update on audit.coordination to audit;

---- create above / drop below ----

drop table audit.coordination;
