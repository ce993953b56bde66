-- question: Through which roles did a session come about, back to whoever started it?
-- about: Step 1 made the given session. The chain ends where the log has no record of who obtained the credentials;
-- about: `sessions` says why, and follows sessions whose key was not seen handed out by their name.
-- param access_key text : id of the session's key (ASIA…)
-- column step integer : 1 for the call that made the session, 2 for the one before it, and so on
-- column time time : when the credentials were handed out
-- column access_key text : the key that was handed out
-- column role text : ARN of the role that was assumed
-- column session_principal_id text : id of the session that began, with its session name
-- column by_type text : kind of identity that called
-- column by_principal text : ARN of the caller: of the role behind it, where it was a session itself
-- column by_principal_id text : id of the caller, with its session name where it has one
-- column by_access_key text : the key with which it called
-- column event_id text : the event
WITH RECURSIVE handed_out AS (
    -- A key is handed out once. Copies of the call in other accounts name the caller less well: the best one counts, and
    -- among equals the first, as where persons are told.
    SELECT i.*
    FROM issued AS i
    LEFT JOIN sessions AS s ON s.session = i.session
    WHERE i.access_key <> ''
    QUALIFY row_number() OVER (
        PARTITION BY i.access_key
        ORDER BY
            CASE
                WHEN coalesce(s.identity_type, '') = '' THEN 0
                WHEN s.identity_type IN ('AWSAccount', 'Unknown') THEN 1
                ELSE 2
            END DESC,
            i.session_principal_id, i.role_arn, i.session, i.time, i.event_id
    ) = 1
),
chain AS (
    SELECT 1 AS step, i.*
    FROM handed_out AS i
    WHERE i.access_key = $access_key
    UNION
    SELECT chain.step + 1 AS step, i.*
    FROM chain
    JOIN sessions AS s ON s.session = chain.session
    JOIN handed_out AS i ON i.access_key = s.access_key AND i.time <= chain.time
    -- Longer chains do not exist; a loop in damaged records must end.
    WHERE chain.step < 20 AND s.access_key <> ''
)
SELECT
    chain.step AS step,
    chain.time AS time,
    chain.access_key AS access_key,
    chain.role_arn AS role,
    chain.session_principal_id AS session_principal_id,
    coalesce(s.identity_type, '') AS by_type,
    coalesce(CASE WHEN s.issuer_arn <> '' THEN s.issuer_arn ELSE s.principal_arn END, '') AS by_principal,
    coalesce(s.principal_id, '') AS by_principal_id,
    coalesce(s.access_key, '') AS by_access_key,
    chain.event_id AS event_id
FROM chain
LEFT JOIN sessions AS s ON s.session = chain.session
ORDER BY step, time, event_id, session_principal_id
