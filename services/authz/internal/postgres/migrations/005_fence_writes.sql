-- What a trigger of the engine's table asks before each statement that writes: whether the command of the session has not ended. The row
-- of the command stays locked until the engine's transaction ends, and whoever ends the command waits for that. A session without a
-- command is one of a program of before this migration, or of nobody that writes for a command.
create function authz.fence_write() returns trigger language plpgsql as $$
declare
    command text := nullif(current_setting('gatehouse.command', true), '');
begin
    if command is not null then
        perform from authz.commands where id = command::uuid and state = 'accepted' for share;
        if not found then
            raise exception 'the command has ended: somebody else applied it';
        end if;
    end if;
    return null;
end
$$;

---- create above / drop below ----

drop function authz.fence_write() cascade;
