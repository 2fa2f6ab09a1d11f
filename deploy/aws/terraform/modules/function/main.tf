# A function with what every function has: a role that may write its log and do what
# it is given, a log that is not kept for ever, and alarms.

resource "aws_lambda_function" "this" {
  function_name    = var.name
  role             = aws_iam_role.this.arn
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["arm64"]
  timeout          = var.timeout
  memory_size      = var.memory

  environment {
    variables = var.environment
  }

  dynamic "vpc_config" {
    for_each = var.common.vpc[*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  # Without its rights a function fails, and without the group Lambda makes one that
  # is kept for ever.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.log, aws_iam_role_policy.own, aws_iam_role_policy.vpc]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.common.log_retention_days
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "log" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
}

resource "aws_iam_role_policy" "log" {
  name   = "log"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.log.json
}

resource "aws_iam_role_policy" "own" {
  count  = var.has_policy ? 1 : 0
  name   = "own"
  role   = aws_iam_role.this.id
  policy = var.policy
}

# Lambda makes the function's network interfaces in its name. EC2 does not tell their
# ARNs before they are there.
data "aws_iam_policy_document" "vpc" {
  statement {
    actions = [
      "ec2:CreateNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:DeleteNetworkInterface",
      "ec2:AssignPrivateIpAddresses",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "vpc" {
  count  = var.common.vpc == null ? 0 : 1
  name   = "vpc"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.vpc.json
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = {
    Errors    = "The function fails."
    Throttles = "There are more calls than the account, or the function, may have at once."
  }
  alarm_name          = "${var.name}-${lower(each.key)}"
  alarm_description   = each.value
  namespace           = "AWS/Lambda"
  metric_name         = each.key
  dimensions          = { FunctionName = aws_lambda_function.this.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.common.alarm_topic_arns
}
