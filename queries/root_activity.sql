-- question: What did root users do?
-- about: Calls that AWS services made on their own, with root as a label, are left out.
-- param since time = null : earliest instant
-- param until time = null : first instant that no longer counts
-- column time time : when
-- column account text : account of the root user
-- column source text : event source
-- column name text : event name
-- column outcome text : what became of the call
-- column mfa boolean : whether the session showed multi-factor authentication; empty where the record does not say
-- column assumed_root boolean : a session of centrally managed root access, not the root user itself
-- column source_ip text : address
-- column access_key text : the key that signed, empty in the console's first call
-- column user_agent text : program, as it called itself
-- column event_id text : the event
SELECT
    time,
    CASE WHEN principal_account <> '' THEN principal_account ELSE account END AS account,
    source,
    name,
    outcome,
    mfa,
    assumed_root,
    source_ip,
    access_key,
    user_agent,
    coalesce(event_id, '') AS event_id
FROM events
WHERE counted
    AND (identity_type = 'Root' OR assumed_root)
    AND invoked_by = ''
    AND event_type <> 'AwsServiceEvent'
    AND ($since::TIMESTAMP IS NULL OR time >= $since::TIMESTAMP)
    AND ($until::TIMESTAMP IS NULL OR time < $until::TIMESTAMP)
ORDER BY time, account, event_id, source, name
