//! Names: of things, of people, and of the programs that call.

use crate::clock;
use crate::prng::Rng;

pub const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub const HEX: &[u8] = b"0123456789abcdef";
const WORDS: [&str; 40] = [
    "payments",
    "orders",
    "catalog",
    "search",
    "billing",
    "ledger",
    "users",
    "auth",
    "events",
    "stream",
    "etl",
    "reports",
    "metrics",
    "audit",
    "backup",
    "images",
    "media",
    "notify",
    "mailer",
    "gateway",
    "edge",
    "cache",
    "inventory",
    "pricing",
    "fraud",
    "risk",
    "ml",
    "features",
    "training",
    "export",
    "import",
    "sync",
    "crawler",
    "scheduler",
    "webhook",
    "checkout",
    "session",
    "profile",
    "archive",
    "config",
];
const PARTS: [&str; 16] = [
    "api",
    "worker",
    "job",
    "loader",
    "handler",
    "service",
    "task",
    "runner",
    "reader",
    "writer",
    "processor",
    "cron",
    "proxy",
    "agent",
    "consumer",
    "role",
];
const STAGES: [&str; 5] = ["prod", "prod", "staging", "dev", "shared"];
pub const PEOPLE: [&str; 24] = [
    "alice.meyer",
    "bob.tanaka",
    "carla.rossi",
    "dmitri.ivanov",
    "elena.garcia",
    "farid.khan",
    "grace.li",
    "henrik.olsen",
    "ines.silva",
    "jonas.weber",
    "kira.novak",
    "liam.murphy",
    "mara.cohen",
    "nadia.haddad",
    "oscar.lind",
    "priya.nair",
    "quentin.roux",
    "rosa.diaz",
    "samir.patel",
    "tessa.bakker",
    "umar.farouk",
    "vera.horvat",
    "wei.zhang",
    "yuki.sato",
];
/// User agents of machines: SDKs, Terraform and agents, as seen in the templates' origin and in AWS's documentation.
pub const MACHINE_AGENTS: [&str; 14] = [
    "Boto3/1.34.149 md/Botocore#1.34.149 ua/2.0 os/linux#5.10.219-208.866.amzn2.x86_64 md/arch#x86_64 lang/python#3.11.9 md/pyimpl#CPython exec-env/AWS_Lambda_python3.11 cfg/retry-mode#legacy Botocore/1.34.149",
    "aws-sdk-java/2.25.31 Linux/5.10.217-205.860.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.11+9-LTS Java/17.0.11 kotlin/1.9.23 vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/legacy",
    "aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#arm64 api/s3#1.58.2 m/F,g",
    "APN/1.0 HashiCorp/1.0 Terraform/1.5.7 (+https://www.terraform.io) terraform-provider-aws/5.61.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.30.3 os/linux lang/go#1.22.5 md/GOOS#linux md/GOARCH#amd64 api/iam#1.34.3",
    "aws-sdk-js/3.614.0 ua/2.0 os/linux#5.10.219-229.866.amzn2.x86_64 lang/js md/nodejs#20.15.1 api/dynamodb#3.614.0 exec-env/AWS_Lambda_nodejs20.x",
    "aws-sdk-go/1.41.4 (go1.18.3; linux; amd64) amazon-ssm-agent/3.3.551.0",
    "Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165",
    "[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]",
    "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) terraform-provider-aws/3.76.1 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go/1.44.157 (go1.19.3; linux; amd64) HashiCorp-terraform-exec/0.17.3",
    "Hadoop 3.3.6-amzn-3, aws-sdk-java/1.12.705 Linux/5.10.216-204.855.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/1.8.0_412-b08 java/1.8.0_412 scala/2.12.18 vendor/Amazon.com_Inc. cfg/retry-mode/standard com.amazonaws.services.s3.transfer.TransferManager/1.12.705",
    "aws-sdk-go/1.44.261 (go1.19.8; linux; amd64) karpenter.sh-v0.37.0",
    "aws-sdk-go-v2/1.18.0 os/linux lang/go/1.19.8 md/GOOS/linux md/GOARCH/amd64 api/ec2/1.98.0",
    "aws-sdk-ruby3/3.201.3 ua/2.0 api/cloudwatch_logs#1.88.0 os/linux md/x86_64 lang/ruby#3.2.4 md/3.2.4 m/E",
    "prowler/4.3.0 Boto3/1.34.149 md/Botocore#1.34.149 ua/2.0 os/linux#6.5.0-1022-azure md/arch#x86_64 lang/python#3.12.4 md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.34.149",
];
/// User agents of people: console and command line.
pub const PEOPLE_AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0",
    "aws-cli/2.17.18 md/awscrt#0.20.11 ua/2.0 os/macos#23.5.0 md/arch#arm64 lang/python#3.11.9 md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#s3.ls",
    "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-41-generic exe/x86_64.ubuntu.22 prompt/off command/ec2.describe-instances",
    "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10.184-153.731.amzn2int.x86_64 OpenJDK_64-Bit_Server_VM/25.372-b08 java/1.8.0_372 vendor/Oracle_Corporation cfg/retry-mode/standard]",
    "APN/1.0 HashiCorp/1.0 Terraform/1.5.7 (+https://www.terraform.io) terraform-provider-aws/5.61.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.30.3 os/macos lang/go#1.22.5 md/GOOS#darwin md/GOARCH#arm64",
];

/// `n` letters of an alphabet.
pub fn letters(rng: &mut Rng, alphabet: &[u8], n: usize) -> String {
    clock::text(|out| rng.letters(alphabet, n, out))
}

/// A name as people give them; the same for the same number.
pub fn name(seed: u64, out: &mut Vec<u8>) {
    let mut rng = Rng::new(&[seed, 1]);
    let parts = [pick(&mut rng, &WORDS), pick(&mut rng, &PARTS), pick(&mut rng, &STAGES)];
    out.extend_from_slice(parts.join("-").as_bytes());
    if rng.chance(0.3) {
        out.push(b'-');
        rng.letters(HEX, 6, out);
    }
}

/// A bucket's name.
pub fn bucket(seed: u64, region: &str, out: &mut Vec<u8>) {
    let mut rng = Rng::new(&[seed, 2]);
    let parts = ["acme", pick(&mut rng, &STAGES), pick(&mut rng, &WORDS), region];
    out.extend_from_slice(parts.join("-").as_bytes());
    if rng.chance(0.5) {
        out.push(b'-');
        rng.letters(HEX, 12, out);
    }
}

/// One of a list.
pub fn pick<'a>(rng: &mut Rng, list: &[&'a str]) -> &'a str {
    list.get(rng.below(list.len() as u64) as usize).copied().unwrap_or("")
}
