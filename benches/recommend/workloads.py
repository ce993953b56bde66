"""What programs do and hold: kinds of applications with their calls, policies and trust. Data only.

`{app}`, `{account}` and `{region}` stand for the application's name and place.
"""

from collections import namedtuple

# `data`: a data event, such as reading an object; `request`: request parameters as JSON.
Call = namedtuple("Call", "source event read data request")


def calls(text):
    """Calls from lines `source Event mode request`; the mode is r or w, in capitals for data events."""
    found = []
    for line in filter(None, text.splitlines()):
        source, event, mode, *request = line.split(None, 3)
        data = mode.isupper()
        request = request[0] if request else "null"
        found.append(Call(source + ".amazonaws.com", event, mode.lower() == "r", data, request))
    return found


def allow(sid, actions, resources="*", condition=None):
    """An Allow statement; actions and resources are separated by blanks."""
    one = {"Sid": sid, "Effect": "Allow", "Action": actions.split(), "Resource": resources.split()}
    return {**one, "Condition": condition} if condition else one


def deny(sid, actions, condition=None, key="Action"):
    """A Deny statement on everything."""
    one = {"Sid": sid, "Effect": "Deny", key: actions.split(), "Resource": "*"}
    return {**one, "Condition": condition} if condition else one


def document(*statements):
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


# One kind of application: what may assume its roles, what they call, which policies they have, how many there are.
Kind = namedtuple("Kind", "name service share calls policies managed")

SECRETS = allow("Secrets", "secretsmanager:GetSecretValue secretsmanager:DescribeSecret",
                "arn:aws:secretsmanager:{region}:{account}:secret:{app}/*")
KEYS = allow("Keys", "kms:Decrypt kms:GenerateDataKey", "arn:aws:kms:{region}:{account}:key/*",
             {"StringLike": {"kms:ViaService": ["secretsmanager.*.amazonaws.com", "s3.*.amazonaws.com"]}})
PARAMETERS = allow("Parameters", "ssm:GetParameter ssm:GetParameters ssm:GetParametersByPath",
                   "arn:aws:ssm:{region}:{account}:parameter/{app}/*")
OBJECTS = allow("Objects", "s3:GetObject s3:PutObject s3:DeleteObject s3:ListBucket s3:GetBucketLocation",
                "arn:aws:s3:::{app}-{account} arn:aws:s3:::{app}-{account}/*")
TABLE = allow("Table", "dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem dynamodb:Query"
              " dynamodb:DeleteItem dynamodb:BatchWriteItem",
              "arn:aws:dynamodb:{region}:{account}:table/{app} arn:aws:dynamodb:{region}:{account}:table/{app}/index/*")
QUEUE = allow("Queue", "sqs:SendMessage sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sns:Publish",
              "arn:aws:sqs:{region}:{account}:{app}-* arn:aws:sns:{region}:{account}:{app}-*")
LOGS = allow("Logs", "logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents logs:DescribeLogGroups",
             "arn:aws:logs:{region}:{account}:log-group:*")


def pass_to(service, roles="arn:aws:iam::{account}:role/{app}-*"):
    """Leave to hand roles to one service: the usual form, which escalates nothing where the roles are weak."""
    return allow("Pass", "iam:PassRole", roles, {"StringEquals": {"iam:PassedToService": service}})


RUNTIME_CALLS = """
secretsmanager GetSecretValue r {"secretId":"arn:aws:secretsmanager:{region}:{account}:secret:{app}/db-x7Kq2p"}
kms Decrypt r {"encryptionContext":{"SecretARN":"arn:aws:secretsmanager:{region}:{account}:secret:{app}/db-x7Kq2p"}}
ssm GetParametersByPath r {"path":"/{app}/","recursive":true,"withDecryption":true}
s3 GetObject R {"bucketName":"{app}-{account}","key":"state/current.json"}
s3 PutObject W {"bucketName":"{app}-{account}","key":"state/next.json"}
dynamodb DescribeTable r {"tableName":"{app}"}
"""

KINDS = [
    Kind("web", "ecs-tasks.amazonaws.com", 20, calls(RUNTIME_CALLS + """
logs CreateLogStream w {"logGroupName":"/ecs/{app}","logStreamName":"web/1"}
servicediscovery ListServices r
"""), [document(SECRETS, KEYS, PARAMETERS, LOGS),
       document(OBJECTS, TABLE, QUEUE, allow("Names", "servicediscovery:List* servicediscovery:DiscoverInstances"))],
         ["service-role/AmazonECSTaskExecutionRolePolicy"]),
    Kind("function", "lambda.amazonaws.com", 28, calls(RUNTIME_CALLS + """
logs CreateLogGroup w {"logGroupName":"/aws/lambda/{app}"}
logs CreateLogStream w {"logGroupName":"/aws/lambda/{app}","logStreamName":"2026/[$LATEST]1"}
states StartExecution w {"stateMachineArn":"arn:aws:states:{region}:{account}:stateMachine:{app}"}
"""), [document(SECRETS, KEYS, PARAMETERS, OBJECTS),
       document(TABLE, QUEUE, allow("Flow", "states:StartExecution states:DescribeExecution",
                                    "arn:aws:states:{region}:{account}:stateMachine:{app}*"))],
         ["service-role/AWSLambdaBasicExecutionRole"]),
    Kind("etl", "glue.amazonaws.com", 8, calls("""
glue GetTable r {"databaseName":"{app}","name":"events"}
glue GetPartitions r {"databaseName":"{app}","tableName":"events"}
glue BatchCreatePartition w {"databaseName":"{app}","tableName":"events"}
lakeformation GetDataAccess r {"tableArn":"arn:aws:glue:{region}:{account}:table/{app}/events"}
s3 GetObject R {"bucketName":"{app}-{account}","key":"raw/part-0000.parquet"}
s3 PutObject W {"bucketName":"{app}-{account}","key":"clean/part-0000.parquet"}
logs CreateLogStream w {"logGroupName":"/aws-glue/jobs/{app}","logStreamName":"1"}
"""), [document(OBJECTS, KEYS, LOGS, allow("Catalogue", "glue:Get* glue:BatchCreatePartition glue:UpdateTable")),
       document(allow("Lake", "lakeformation:GetDataAccess"))], []),
    Kind("build", "codebuild.amazonaws.com", 9, calls("""
ecr GetAuthorizationToken r
ecr BatchCheckLayerAvailability r {"repositoryName":"{app}"}
ecr InitiateLayerUpload w {"repositoryName":"{app}"}
ecr PutImage w {"repositoryName":"{app}","imageTag":"latest"}
s3 PutObject W {"bucketName":"{app}-{account}","key":"artifact.zip"}
ssm GetParameters r {"names":["/{app}/token"],"withDecryption":true}
logs CreateLogStream w {"logGroupName":"/aws/codebuild/{app}","logStreamName":"1"}
cloudformation ValidateTemplate r
"""), [document(OBJECTS, LOGS, PARAMETERS),
       document(allow("Registry", "ecr:GetAuthorizationToken ecr:Batch* ecr:InitiateLayerUpload ecr:UploadLayerPart"
                      " ecr:CompleteLayerUpload ecr:PutImage"), allow("Templates", "cloudformation:Describe*"
                      " cloudformation:ValidateTemplate cloudformation:CreateChangeSet"))], []),
    Kind("node", "ec2.amazonaws.com", 14, calls("""
ec2 DescribeInstances r {"instancesSet":{},"filterSet":{}}
ec2 DescribeTags r {"filterSet":{}}
ssm UpdateInstanceInformation w {"instanceId":"i-0a1b2c3d4e5f60718","agentName":"amazon-ssm-agent"}
ssm ListInstanceAssociations r {"instanceId":"i-0a1b2c3d4e5f60718"}
ecr GetAuthorizationToken r
ecr BatchGetImage r {"repositoryName":"{app}"}
elasticloadbalancing DescribeTargetHealth r
autoscaling DescribeAutoScalingInstances r
"""), [document(allow("Inventory", "ec2:Describe* autoscaling:Describe* elasticloadbalancing:Describe*"), OBJECTS),
       document(SECRETS, PARAMETERS, LOGS, allow("Images", "ecr:GetAuthorizationToken ecr:BatchGetImage"
                                                 " ecr:GetDownloadUrlForLayer"))],
         ["AmazonSSMManagedInstanceCore"]),
    Kind("stack", "cloudformation.amazonaws.com", 4, calls("""
lambda UpdateFunctionConfiguration20150331v2 w {"functionName":"{app}"}
sqs SetQueueAttributes w {"queueUrl":"https://sqs.{region}.amazonaws.com/{account}/{app}-in"}
dynamodb UpdateTable w {"tableName":"{app}"}
logs PutRetentionPolicy w {"logGroupName":"/ecs/{app}","retentionInDays":30}
ec2 AuthorizeSecurityGroupIngress w {"groupId":"sg-0a1b2c3d4e5f60718"}
monitoring PutMetricAlarm w {"alarmName":"{app}-errors"}
"""), [document(allow("Resources", "lambda:* sqs:* sns:* dynamodb:* logs:* cloudwatch:* ec2:*SecurityGroup*"),
                pass_to("lambda.amazonaws.com"))], []),
    Kind("backup", "backup.amazonaws.com", 3, calls("""
ec2 CreateSnapshot w {"volumeId":"vol-0a1b2c3d4e5f60718"}
ec2 DescribeVolumes r {"volumeSet":{},"filterSet":{}}
rds CreateDBSnapshot w {"dBInstanceIdentifier":"{app}","dBSnapshotIdentifier":"{app}-daily"}
rds DescribeDBInstances r {"dBInstanceIdentifier":"{app}"}
dynamodb CreateBackup w {"tableName":"{app}","backupName":"{app}-daily"}
"""), [document(allow("Copies", "ec2:CreateSnapshot ec2:CopySnapshot ec2:DeleteSnapshot ec2:CreateTags ec2:Describe*"
                      " rds:CreateDBSnapshot rds:CopyDBSnapshot rds:DeleteDBSnapshot rds:Describe*"
                      " dynamodb:CreateBackup dynamodb:DeleteBackup backup:DeleteRecoveryPoint"))], []),
    Kind("flow", "states.amazonaws.com", 6, calls("""
ecs RunTask w {"cluster":"main","taskDefinition":"{app}"}
ecs DescribeTasks r {"cluster":"main"}
glue StartJobRun w {"jobName":"{app}"}
batch SubmitJob w {"jobName":"{app}","jobQueue":"default"}
events PutRule w {"name":"StepFunctionsGetEventsForECSTaskRule"}
logs CreateLogDelivery w
"""), [document(allow("Tasks", "ecs:RunTask ecs:StopTask ecs:DescribeTasks glue:StartJobRun glue:GetJobRun"
                      " batch:SubmitJob lambda:InvokeFunction"), pass_to("ecs-tasks.amazonaws.com"), LOGS),
       document(allow("Events", "events:PutRule events:PutTargets events:DescribeRule"), QUEUE)], []),
    Kind("science", "sagemaker.amazonaws.com", 3, calls("""
sagemaker CreateTrainingJob w {"trainingJobName":"{app}-nightly"}
sagemaker DescribeTrainingJob r {"trainingJobName":"{app}-nightly"}
sagemaker CreateModel w {"modelName":"{app}"}
s3 GetObject R {"bucketName":"{app}-{account}","key":"features/part-0.parquet"}
ecr BatchGetImage r {"repositoryName":"{app}"}
"""), [document(allow("Training", "sagemaker:CreateTrainingJob sagemaker:CreateModel sagemaker:Describe*"
                      " sagemaker:CreateProcessingJob sagemaker:List*"), pass_to("sagemaker.amazonaws.com"), OBJECTS),
       document(KEYS, LOGS, allow("Images", "ecr:GetAuthorizationToken ecr:BatchGetImage"))], []),
    Kind("pod", "", 5, calls("""
route53 ListHostedZones r
route53 ListResourceRecordSets r {"hostedZoneId":"Z0123456789ABCDEFGHIJ"}
route53 ChangeResourceRecordSets w {"hostedZoneId":"Z0123456789ABCDEFGHIJ"}
ec2 DescribeInstances r {"instancesSet":{},"filterSet":{}}
ec2 CreateFleet w {"CreateFleetRequest":{"Type":"instant"}}
ec2 TerminateInstances w {"instancesSet":{"items":[{"instanceId":"i-0a1b2c3d4e5f60718"}]}}
"""), [document(allow("Names", "route53:List* route53:ChangeResourceRecordSets"),
                allow("Machines", "ec2:Describe* ec2:CreateFleet ec2:TerminateInstances ec2:CreateTags")),
       document(SECRETS, pass_to("ec2.amazonaws.com", "arn:aws:iam::{account}:role/eks-node-*"))], []),
]

# Roles that tools of another account assume: what they call once they are there.
DEPLOY_CALLS = calls("""
ecs RegisterTaskDefinition w {"family":"web"}
ecs UpdateService w {"cluster":"main","service":"web"}
lambda UpdateFunctionCode20150331v2 w {"functionName":"worker"}
cloudformation CreateChangeSet w {"stackName":"main","changeSetName":"release"}
cloudformation ExecuteChangeSet w {"stackName":"main","changeSetName":"release"}
cloudformation DescribeStacks r {"stackName":"main"}
""")
AUDIT_CALLS = calls("""
iam ListRoles r
iam GetAccountAuthorizationDetails r
iam GenerateCredentialReport r
s3 ListBuckets r
ec2 DescribeSecurityGroups r {"securityGroupSet":{},"filterSet":{}}
kms ListKeys r
rds DescribeDBInstances r
lambda ListFunctions20150331 r
""")
DEPLOY_POLICY = document(
    allow("Deploy", "ecs:RegisterTaskDefinition ecs:UpdateService ecs:Describe* lambda:UpdateFunctionCode"
          " lambda:UpdateFunctionConfiguration lambda:GetFunction cloudformation:*ChangeSet cloudformation:Describe*"
          " cloudformation:GetTemplate"),
    allow("Hand", "iam:PassRole", "arn:aws:iam::{account}:role/*",
          {"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]}}),
)
AUDIT_POLICY = document(allow("Audit", "iam:Get* iam:List* iam:Generate* s3:ListAllMyBuckets s3:GetBucket*"
                              " ec2:Describe* kms:List* kms:Describe* rds:Describe* lambda:List* lambda:GetPolicy"))
OPS_CALLS = calls("""
ssm StartSession w {"target":"i-0a1b2c3d4e5f60718"}
rds RebootDBInstance w {"dBInstanceIdentifier":"main"}
ec2 DescribeInstances r {"instancesSet":{},"filterSet":{}}
ecs UpdateService w {"cluster":"main","service":"web","forceNewDeployment":true}
""")
OPS_POLICY = document(allow("Operate", "ssm:StartSession ssm:TerminateSession ec2:Describe* ec2:RebootInstances"
                            " rds:RebootDBInstance rds:Describe* ecs:UpdateService ecs:Describe* ecs:ExecuteCommand"))

# Service-linked roles with their services, AWS managed policies and calls. The first is Config, which works in every
# region every few hours.
LINKED = [
    ("AWSServiceRoleForConfig", "config.amazonaws.com", "AWSConfigServiceRolePolicy", calls("""
ec2 DescribeNetworkInterfaces r {"networkInterfaceIdSet":{},"filterSet":{}}
lambda ListFunctions20150331 r
rds DescribeDBInstances r
s3 GetBucketPublicAccessBlock r {"bucketName":"cdn-{account}"}
""")),
    ("AWSServiceRoleForECS", "ecs.amazonaws.com", "AmazonECSServiceRolePolicy", calls("""
elasticloadbalancing RegisterTargets w
ec2 DescribeInstances r {"instancesSet":{},"filterSet":{}}
""")),
    ("AWSServiceRoleForAutoScaling", "autoscaling.amazonaws.com", "AutoScalingServiceRolePolicy", calls("""
ec2 DescribeInstanceStatus r {"instancesSet":{},"filterSet":{}}
ec2 RunInstances w {"instancesSet":{"items":[{"minCount":1,"maxCount":1}]},"instanceType":"m7g.large"}
""")),
    ("AWSServiceRoleForSupport", "support.amazonaws.com", "AWSSupportServiceRolePolicy", []),
    ("AWSServiceRoleForTrustedAdvisor", "trustedadvisor.amazonaws.com", "AWSTrustedAdvisorServiceRolePolicy", []),
]

# Statements that somebody added in a hurry: most give a way to more power. Conditions leave some of them unsure, and
# the organisation's policies close most of them in production.
CARELESS = [
    (allow("Hurry", "iam:PassRole lambda:CreateFunction lambda:InvokeFunction"),),
    (allow("Hurry", "iam:PassRole ec2:RunInstances ec2:Describe*"),),
    (allow("Hurry", "iam:PassRole ecs:RunTask ecs:RegisterTaskDefinition"),),
    (allow("Hurry", "iam:PassRole glue:CreateJob glue:StartJobRun"),),
    (allow("Hurry", "iam:PassRole cloudformation:CreateStack cloudformation:DescribeStacks"),),
    (allow("Hurry", "iam:CreateAccessKey iam:ListUsers"),),
    (allow("Hurry", "iam:CreateLoginProfile iam:UpdateLoginProfile"),),
    (allow("Hurry", "iam:UpdateAssumeRolePolicy iam:ListRoles sts:AssumeRole"),),
    (allow("Hurry", "iam:PutRolePolicy", "arn:aws:iam::{account}:role/*"),),
    (allow("Hurry", "iam:CreatePolicyVersion", "arn:aws:iam::{account}:policy/{app}-*"),),
    (allow("Hurry", "ssm:SendCommand ssm:StartSession ec2:DescribeInstances"),),
    (allow("Hurry", "sts:AssumeRole", "arn:aws:iam::{account}:role/stage-*"),),
    (allow("Hurry", "lambda:UpdateFunctionCode lambda:InvokeFunction"),),
    # Not sure, or no way at all:
    (allow("Tied", "iam:PassRole", "*", {"StringEquals": {"aws:PrincipalTag/deployer": "yes"}}),
     allow("Run", "lambda:CreateFunction lambda:InvokeFunction")),
    (allow("Tied", "iam:AttachRolePolicy", "*", {"StringEquals": {"aws:RequestTag/approved": "yes"}}),),
    (allow("Tied", "iam:AttachRolePolicy", "*",
           {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}}),),
    (allow("Tied", "iam:CreateAccessKey", "*", {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),),
    (allow("Tied", "iam:PutRolePolicy", "*", {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}),),
]

# Policies that an account keeps for its teams to attach.
BROAD = {
    "storage-full": document(allow("Storage", "s3:*")),
    "data-full": document(allow("Data", "dynamodb:* rds:Describe* rds-data:* elasticache:Describe*")),
    "messages-full": document(allow("Messages", "sqs:* sns:* events:PutEvents")),
    "observability": document(allow("Watch", "cloudwatch:* logs:* xray:*")),
    "machines": document(allow("Machines", "ec2:Describe* ec2:StartInstances ec2:StopInstances ec2:CreateTags"
                               " autoscaling:*")),
    "no-identities": document({"Effect": "Allow", "Action": "*", "Resource": "*"},
                              deny("Identities", "iam:* organizations:* sts:AssumeRole")),
    "robots": document(allow("Robots", "s3:GetObject s3:PutObject ecr:GetAuthorizationToken ecr:BatchGetImage"
                             " codebuild:StartBuild")),
}
