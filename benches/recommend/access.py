"""What people do and hold: permission sets with their calls; AWS's policies; service control policies. Data only."""

from collections import namedtuple

from workloads import allow, calls, deny, document

# AWS managed policies, shortened where AWS's own text is long.
READ_SERVICES = """
access-analyzer acm amplify apigateway appconfig application-autoscaling appmesh apprunner athena autoscaling backup
batch bedrock budgets ce cloud9 cloudformation cloudfront cloudtrail cloudwatch codeartifact codebuild codecommit
codedeploy codepipeline cognito-identity cognito-idp comprehend config connect databrew datasync dax detective
devops-guru directconnect dms ds dynamodb ec2 ecr ecs eks elasticache elasticbeanstalk elasticfilesystem
elasticloadbalancing elasticmapreduce es events firehose fis forecast frauddetector fsx gamelift glacier glue grafana
greengrass groundstation guardduty health iam imagebuilder inspector2 iot iotevents iotsitewise kafka kendra kinesis
kinesisanalytics kms lakeformation lambda lex license-manager lightsail logs lookoutmetrics macie2 mediaconvert
medialive mediapackage memorydb mobiletargeting mq network-firewall networkmanager organizations outposts personalize
pi pipes polly qldb quicksight ram rds redshift rekognition resource-groups robomaker route53 route53resolver s3
sagemaker savingsplans scheduler schemas secretsmanager securityhub servicecatalog servicediscovery servicequotas ses
shield sns sqs ssm states storagegateway support synthetics tag textract timestream transcribe transfer translate
trustedadvisor waf wafv2 wellarchitected workspaces xray
""".split()
READ = document({"Sid": "ReadOnlyActions", "Effect": "Allow", "Resource": "*", "Action": sorted(
    f"{service}:{verb}*" for service in READ_SERVICES for verb in ("Describe", "Get", "List")
    if not (service == "secretsmanager" and verb == "Get"))})

AWS_MANAGED = {
    "AdministratorAccess": document({"Effect": "Allow", "Action": "*", "Resource": "*"}),
    "PowerUserAccess": document(
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        allow("Some", "iam:CreateServiceLinkedRole iam:DeleteServiceLinkedRole iam:ListRoles"
              " organizations:DescribeOrganization account:ListRegions account:GetAccountInformation")),
    "ReadOnlyAccess": READ,
    "SecurityAudit": document(allow(
        "Audit", "access-analyzer:List* cloudtrail:Describe* cloudtrail:Get* config:Describe* config:Get* ec2:Describe*"
        " guardduty:Get* guardduty:List* iam:GenerateCredentialReport iam:Get* iam:List* kms:Describe* kms:List*"
        " lambda:GetPolicy lambda:ListFunctions rds:Describe* s3:GetBucket* s3:GetEncryptionConfiguration"
        " s3:ListAllMyBuckets securityhub:Get* securityhub:List* sqs:GetQueueAttributes sqs:ListQueues")),
    "job-function/Billing": document(allow(
        "Bills", "account:GetAccountInformation billing:* budgets:* ce:* consolidatedbilling:* cur:* payments:*"
        " invoicing:* tax:* purchase-orders:* savingsplans:*")),
    "job-function/DatabaseAdministrator": document(allow(
        "Databases", "cloudwatch:DeleteAlarms cloudwatch:Describe* cloudwatch:Get* cloudwatch:List*"
        " cloudwatch:PutMetricAlarm datapipeline:* dynamodb:* ec2:DescribeSecurityGroups ec2:DescribeVpcs elasticache:*"
        " kms:ListAliases lambda:ListFunctions logs:Describe* logs:GetLogEvents rds:* redshift:* s3:CreateBucket"
        " sns:List* sns:Subscribe")),
    "aws-service-role/AWSConfigServiceRolePolicy": document(allow(
        "Look", "config:Put* ec2:Describe* iam:Get* iam:List* lambda:List* rds:Describe* s3:GetBucket* sns:List*")),
    "aws-service-role/AmazonECSServiceRolePolicy": document(allow(
        "Tasks", "ec2:*NetworkInterface ec2:Describe* elasticloadbalancing:*Targets elasticloadbalancing:Describe*")),
    "aws-service-role/AutoScalingServiceRolePolicy": document(allow(
        "Machines", "ec2:Describe* ec2:RunInstances ec2:TerminateInstances ec2:CreateTags cloudwatch:PutMetricAlarm")),
    "aws-service-role/AWSSupportServiceRolePolicy": document(allow("Look", "ec2:Describe* rds:Describe* support:*")),
    "aws-service-role/AWSTrustedAdvisorServiceRolePolicy": document(allow("Look", "ec2:Describe* rds:Describe*")),
    "service-role/AmazonECSTaskExecutionRolePolicy": document(allow(
        "Start", "ecr:GetAuthorizationToken ecr:BatchCheckLayerAvailability ecr:GetDownloadUrlForLayer"
        " ecr:BatchGetImage logs:CreateLogStream logs:PutLogEvents")),
    "service-role/AWSLambdaBasicExecutionRole": document(allow(
        "Log", "logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents")),
    "AmazonSSMManagedInstanceCore": document(allow(
        "Manage", "ssm:DescribeAssociation ssm:GetDocument ssm:GetManifest ssm:GetParameter ssm:GetParameters"
        " ssm:ListAssociations ssm:ListInstanceAssociations ssm:PutInventory ssm:PutComplianceItems"
        " ssm:UpdateAssociationStatus ssm:UpdateInstanceAssociationStatus ssm:UpdateInstanceInformation"
        " ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel ssmmessages:OpenControlChannel"
        " ssmmessages:OpenDataChannel ec2messages:GetMessages ec2messages:SendReply")),
}


def managed_arn(name):
    """ARN of an AWS managed policy."""
    return "arn:aws:iam::aws:policy/" + name


LOOK = """
ec2 DescribeInstances r {"instancesSet":{},"filterSet":{}}
lambda ListFunctions20150331 r
logs DescribeLogGroups r
monitoring DescribeAlarms r
ecs DescribeServices r {"cluster":"main","services":["web"]}
cloudformation DescribeStacks r
s3 ListBuckets r
sns ListTopics r
dynamodb ListTables r
rds DescribeDBInstances r
ecr DescribeRepositories r
iam ListRoles r
states ListStateMachines r
kms ListAliases r
apigateway GetRestApis r
secretsmanager ListSecrets r
elasticloadbalancing DescribeLoadBalancers r
"""
BUILD = """
lambda UpdateFunctionCode20150331v2 w {"functionName":"worker"}
ecs UpdateService w {"cluster":"main","service":"web","forceNewDeployment":true}
lambda UpdateFunctionConfiguration20150331v2 w {"functionName":"worker"}
codebuild StartBuild w {"projectName":"web"}
ssm PutParameter w {"name":"/web/flag","type":"String"}
secretsmanager GetSecretValue r {"secretId":"web/db"}
cloudformation CreateChangeSet w {"stackName":"main","changeSetName":"try"}
cloudformation ExecuteChangeSet w {"stackName":"main","changeSetName":"try"}
states StartExecution w {"stateMachineArn":"arn:aws:states:{region}:{account}:stateMachine:orders"}
monitoring PutMetricAlarm w {"alarmName":"errors"}
dynamodb UpdateTable w {"tableName":"orders"}
sqs PurgeQueue w {"queueUrl":"https://sqs.{region}.amazonaws.com/{account}/orders"}
"""
ADMINISTER = """
iam GetRole r {"roleName":"deploy"}
iam TagRole w {"roleName":"deploy"}
iam PutRolePolicy w {"roleName":"deploy","policyName":"more"}
iam CreateRole w {"roleName":"stage-new"}
ec2 AuthorizeSecurityGroupIngress w {"groupId":"sg-0a1b2c3d4e5f60718"}
kms PutKeyPolicy w {"keyId":"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9","policyName":"default"}
s3 PutBucketPolicy w {"bucketName":"cdn-{account}"}
"""

# A permission set: its hours, AWS managed policies, inline policy, and what its holders call, the most usual first.
# `rare`: how much more seldom than others it is used by those who have a choice.
PermissionSet = namedtuple("PermissionSet", "name hours managed inline calls rare")

LOOK_ACTIONS = ("ec2:Describe* lambda:List* lambda:Get* logs:Describe* logs:FilterLogEvents cloudwatch:Describe*"
                " cloudwatch:Get* ecs:Describe* ecs:List* cloudformation:Describe* cloudformation:List*"
                " s3:ListAllMyBuckets sns:List* sqs:List* dynamodb:List* dynamodb:DescribeTable rds:Describe*"
                " ecr:Describe* iam:List* states:List*"
                " kms:ListAliases apigateway:GET secretsmanager:ListSecrets elasticloadbalancing:Describe*")
SETS = [
    PermissionSet("AdministratorAccess", 1, ["AdministratorAccess"], None, calls(ADMINISTER + LOOK + BUILD), 40),
    PermissionSet("PowerUserAccess", 8, ["PowerUserAccess"], None, calls(LOOK + BUILD), 4),
    PermissionSet("ReadOnlyAccess", 8, ["ReadOnlyAccess"], None, calls(LOOK), 2),
    PermissionSet("DeveloperAccess", 8, [], document(
        allow("Look", LOOK_ACTIONS),
        allow("Build", "lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration lambda:InvokeFunction"
              " ecs:UpdateService codebuild:StartBuild codebuild:BatchGetBuilds ssm:GetParameter ssm:PutParameter"
              " cloudformation:*ChangeSet states:StartExecution cloudwatch:PutMetricAlarm dynamodb:UpdateTable"
              " dynamodb:PutItem dynamodb:Query sqs:PurgeQueue sqs:SendMessage s3:PutObject s3:GetObject"),
        allow("Secrets", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:web/*"),
        allow("Pass", "iam:PassRole", "arn:aws:iam::*:role/*", {"StringEquals": {
            "iam:PassedToService": ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com"]}}),
    ), calls(BUILD + LOOK), 1),
    PermissionSet("ProductionOperator", 4, [], document(
        allow("Look", LOOK_ACTIONS),
        allow("Operate", "rds:RebootDBInstance rds:ModifyDBInstance ec2:StartInstances ec2:StopInstances"
              " ec2:RebootInstances ecs:UpdateService autoscaling:SetDesiredCapacity ssm:StartSession"
              " lambda:InvokeFunction"),
        allow("Enter", "sts:AssumeRole", "arn:aws:iam::*:role/shared-ops")), calls(LOOK + """
ecs UpdateService w {"cluster":"main","service":"web","forceNewDeployment":true}
ec2 RebootInstances w {"instancesSet":{"items":[{"instanceId":"i-0a1b2c3d4e5f60718"}]}}
autoscaling SetDesiredCapacity w {"autoScalingGroupName":"web","desiredCapacity":4}
"""), 3),
    PermissionSet("DataAnalyst", 8, [], document(
        allow("Query", "athena:StartQueryExecution athena:Get* athena:List* glue:Get* s3:GetObject s3:ListBucket"
              " s3:GetBucketLocation s3:ListAllMyBuckets lakeformation:GetDataAccess quicksight:Describe*"
              " redshift:Describe*"),
        allow("Results", "s3:PutObject", "arn:aws:s3:::athena-results-*/*")), calls("""
athena StartQueryExecution w {"workGroup":"primary","queryExecutionContext":{"database":"events"}}
athena GetQueryExecution r
athena GetQueryResults r
glue GetTables r {"databaseName":"events"}
glue GetDatabases r
s3 GetObject R {"bucketName":"athena-results-{account}","key":"out.csv"}
"""), 1),
    PermissionSet("SupportEngineer", 8, [], document(
        allow("Look", "logs:DescribeLogGroups logs:FilterLogEvents cloudwatch:DescribeAlarms ecs:Describe* ecs:List*"
              " ec2:DescribeInstances lambda:List*"),
        allow("Customers", "secretsmanager:GetSecretValue dynamodb:DescribeTable dynamodb:GetItem dynamodb:Query"),
    ), calls("""
logs DescribeLogGroups r
ecs DescribeServices r {"cluster":"main","services":["web"]}
monitoring DescribeAlarms r
dynamodb DescribeTable r {"tableName":"orders"}
secretsmanager GetSecretValue r {"secretId":"crm/token"}
"""), 1),
    PermissionSet("SecurityAudit", 8, ["SecurityAudit"], None, calls("""
iam ListRoles r
iam GetRole r {"roleName":"deploy"}
guardduty ListDetectors r
securityhub GetFindings r
access-analyzer ListAnalyzers r
cloudtrail DescribeTrails r
ec2 DescribeSecurityGroups r {"securityGroupSet":{},"filterSet":{}}
kms ListKeys r
"""), 1),
    PermissionSet("Billing", 4, ["job-function/Billing"], None, calls("""
ce GetCostAndUsage r {"Granularity":"MONTHLY"}
budgets DescribeBudgets r {"accountId":"{account}"}
budgets ModifyBudget w {"accountId":"{account}"}
ce CreateCostCategoryDefinition w {"name":"teams"}
"""), 1),
    PermissionSet("DatabaseAdministrator", 8, ["job-function/DatabaseAdministrator"], None, calls("""
rds DescribeDBInstances r
rds ModifyDBInstance w {"dBInstanceIdentifier":"main"}
rds CreateDBSnapshot w {"dBInstanceIdentifier":"main","dBSnapshotIdentifier":"by-hand"}
dynamodb DescribeTable r {"tableName":"orders"}
rds DeleteDBSnapshot w {"dBSnapshotIdentifier":"by-hand"}
monitoring DescribeAlarms r
"""), 1),
]

# Service control policies: names, organisational units or `root` that they are attached to, documents.
ARMED = ["arn:aws:iam::*:role/OrganizationAccountAccessRole", "arn:aws:iam::*:role/cfn-execution",
         "arn:aws:iam::*:role/break-glass",
         "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_AdministratorAccess_*"]
GLOBAL_SERVICES = """
a4b:* account:* acm:* aws-portal:* billing:* budgets:* ce:* cloudfront:* consolidatedbilling:* cur:*
health:* iam:* identitystore:* invoicing:* organizations:* payments:* pricing:* purchase-orders:* route53:*
route53domains:* s3:GetBucketLocation s3:ListAllMyBuckets savingsplans:* shield:* sso:* sts:* support:* tax:*
trustedadvisor:* waf:*"""
SERVICE_CONTROL = [
    ("guardrails", ["root"], document(
        deny("Stay", "organizations:LeaveOrganization"),
        deny("KeepLogs", "cloudtrail:StopLogging cloudtrail:DeleteTrail cloudtrail:UpdateTrail"
             " cloudtrail:PutEventSelectors config:StopConfigurationRecorder guardduty:DeleteDetector"))),
    ("regions", ["root"], document(deny("OtherRegions", GLOBAL_SERVICES, {"StringNotEquals": {
        "aws:RequestedRegion": ["eu-west-1", "us-east-1"]}}, key="NotAction"))),
    ("no-root", ["Production", "Staging", "Development", "Sandbox"], document(
        deny("Root", "*", {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"}}))),
    ("frozen-identities", ["Production", "Security"], document(
        deny("Identities", "iam:CreateUser iam:CreateAccessKey iam:CreateLoginProfile iam:UpdateLoginProfile"
             " iam:PutUserPolicy iam:AttachUserPolicy iam:PutRolePolicy iam:AttachRolePolicy iam:CreatePolicyVersion"
             " iam:UpdateAssumeRolePolicy iam:*SAMLProvider", {"ArnNotLike": {"aws:PrincipalArn": ARMED}}))),
    ("only-current-metadata", ["Staging"], document(
        deny("Metadata", "ec2:RunInstances", {"StringNotEquals": {"ec2:MetadataHttpTokens": "required"}}))),
    ("cheap-sandbox", ["Sandbox"], document(
        deny("Dear", "sagemaker:Create* redshift:* ec2:PurchaseReservedInstancesOffering savingsplans:Create*"))),
]
