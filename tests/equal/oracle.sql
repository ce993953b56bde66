-- Question: the usage fold of raw CloudTrail files, without jitscan's lake.
-- Parameters: the tables `raw` (records of the files, made by equal.py with read_json) and `outcomes` (kind, source, code:
--   outcomes.json; an empty source is every source).
-- Output: type, principal_id, arn, owner, access_key, source, name, outcome, account, region, category, day, count,
--   first, last.
-- Copies are told by their eventID and every column of `raw`: key order does not matter, since columns have names.
WITH one AS (
    SELECT DISTINCT * FROM raw
), read AS (
    SELECT *,
        CASE
            WHEN eventCategory IN ('Insight', 'Aggregated') OR eventType IN ('AwsCloudTrailInsight', 'AwsAggregatedEvent') THEN 'insight'
            WHEN eventCategory = 'NetworkActivity' OR (eventCategory IS NULL AND eventType = 'AwsVpceEvent') THEN 'network_activity'
            WHEN eventCategory = 'Data' OR (eventCategory IS NULL AND NOT managementEvent) THEN 'data'
            WHEN eventCategory = 'Management' OR managementEvent THEN 'management'
            WHEN eventSource = 's3.amazonaws.com' AND len(list_filter(resources, r -> r.type = 'AWS::S3::Object')) > 0 THEN 'data'
            WHEN eventSource = 'lambda.amazonaws.com' AND eventName = 'Invoke' THEN 'data'
            ELSE 'management'
        END AS category,
        regexp_replace(coalesce(errorCode, ''), '^(Client|Server)\.', '') AS code,
        CASE WHEN eventSource = 'signin.amazonaws.com' THEN json_extract_string(responseElements, '$."' || eventName || '"') END AS signed_in
    FROM one
), judged AS (
    SELECT read.*,
        CASE
            WHEN addendum.reason = 'UPDATED_DATA' THEN 'unknown'
            WHEN signed_in = 'Failure' THEN CASE WHEN eventName = 'SwitchRole' THEN 'denied' ELSE 'not_evaluated' END
            WHEN read.code = '' THEN CASE WHEN coalesce(errorMessage, '') = '' OR signed_in = 'Success' THEN 'authorised' ELSE 'unknown' END
            ELSE coalesce(pair.kind, plain.kind, 'unknown')
        END AS outcome
    FROM read
    LEFT JOIN outcomes AS pair ON pair.code = read.code AND pair.source = read.eventSource
    LEFT JOIN outcomes AS plain ON plain.code = read.code AND plain.source = ''
)
SELECT coalesce(userIdentity.type, '') AS type, coalesce(userIdentity.principalId, '') AS principal_id,
    coalesce(userIdentity.arn, '') AS arn, coalesce(userIdentity.accountId, '') AS owner,
    coalesce(userIdentity.accessKeyId, '') AS access_key, eventSource AS source, eventName AS name, outcome,
    coalesce(recipientAccountId, userIdentity.accountId, '') AS account, coalesce(awsRegion, '') AS region, category,
    eventTime[:10] AS day, count(*) AS count, min(eventTime) AS first, max(eventTime) AS last
FROM judged
WHERE eventType IS DISTINCT FROM 'AwsServiceEvent' AND category <> 'insight'
GROUP BY ALL
