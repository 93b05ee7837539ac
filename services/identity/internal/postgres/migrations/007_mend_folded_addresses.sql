-- Addresses are ASCII, in which A to Z are folded to a to z and nothing else. Migration 003 folded with lower(), whose letters are those of
-- the database's locale: in a Turkish or Azerbaijani one it made a dotless i of every I. Where the address that was meant is another
-- active user's of the organization by now, both stay as they are: nobody is merged.

update identity.users u set email = replace(u.email, 'ı', 'i')
where u.email like '%ı%' and not exists (
    select from identity.users other
    where other.organization_id = u.organization_id and other.id <> u.id and other.state = 'active'
      and replace(other.email, 'ı', 'i') = replace(u.email, 'ı', 'i')
);

do $$
declare
    left_over bigint;
begin
    select count(*) into left_over from identity.users where email ~ '[^\x01-\x7f]';
    if left_over > 0 then
        raise warning '% users have an address that is not ASCII: the address they were given is another user''s of their organization', left_over;
    end if;
end
$$;

---- create above / drop below ----

-- Nothing to take back: these are the addresses that were given.
select 1;
