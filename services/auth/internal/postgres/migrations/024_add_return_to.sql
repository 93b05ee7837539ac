-- Where who shows the code goes on: with the request of the application at which they began. Instances
-- of before leave it empty, and lead to the account.
alter table auth.mailed_codes add column return_to text not null default '';

comment on column auth.mailed_codes.return_to is 'path and query on the issuer''s host, judged anew when the code is shown; empty for none';
