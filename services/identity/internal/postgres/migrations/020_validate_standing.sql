-- Looks through the rows from before. Reads and writes go on meanwhile.
alter table identity.users validate constraint users_standing_known;

---- create above / drop below ----
