---- tern: disable-tx ----
-- What is news. Commands that ended before writers were noted are not in it. Building it holds nobody up.
create index concurrently if not exists commands_by_writer on authz.commands (writer, id) where writer is not null;

---- create above / drop below ----

drop index authz.commands_by_writer;
