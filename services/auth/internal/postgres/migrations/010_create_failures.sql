-- Failures: how often somebody was tried to be proven in vain since the last success. A key is a keyed hash of what is counted: an
-- account and how it was proven, a device, a client's address, five minutes of the whole platform.
create table auth.failures (
    key           bytea       primary key check (octet_length(key) = 16),
    count         integer     not null,
    blocked_until timestamptz not null,
    attempt_id    uuid        not null,
    update_time   timestamptz not null
);
comment on column auth.failures.blocked_until is 'attempts before this fail and are not counted';
comment on column auth.failures.attempt_id is 'the last one that need not have waited, so that each of several at once knows whether it is that';

create index failures_update_time on auth.failures (update_time);

-- Known devices: with which browsers a person has signed in. Only a keyed hash of device and account is stored.
create table auth.known_devices (
    device_hash bytea       primary key check (octet_length(device_hash) = 16),
    user_id     uuid        not null references auth.logins (user_id) on delete cascade,
    seen_time   timestamptz not null
);

create index known_devices_user_id on auth.known_devices (user_id);
create index known_devices_seen_time on auth.known_devices (seen_time);
