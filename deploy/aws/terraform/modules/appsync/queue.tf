# What could not be answered, for somebody to look at.
resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_metric_alarm" "dead" {
  alarm_name          = "${var.name}-dead"
  alarm_description   = "A prompt could not be answered, and nobody could be told."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.common.alarm_topic_arns
}

# SNS calls the orchestrator for each prompt; Lambda repeats what fails, twice.
resource "aws_sns_topic" "prompts" {
  count             = var.queue == "sns" ? 1 : 0
  name              = "${var.name}-prompts"
  kms_master_key_id = "alias/aws/sns"
}

resource "aws_sns_topic_subscription" "orchestrator" {
  count          = var.queue == "sns" ? 1 : 0
  topic_arn      = aws_sns_topic.prompts[0].arn
  protocol       = "lambda"
  endpoint       = module.orchestrator.arn
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn })
}

resource "aws_lambda_permission" "sns" {
  count         = var.queue == "sns" ? 1 : 0
  action        = "lambda:InvokeFunction"
  function_name = module.orchestrator.name
  principal     = "sns.amazonaws.com"
  source_arn    = aws_sns_topic.prompts[0].arn
}

resource "aws_lambda_function_event_invoke_config" "orchestrator" {
  count                  = var.queue == "sns" ? 1 : 0
  function_name          = module.orchestrator.name
  maximum_retry_attempts = 2
  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead.arn
    }
  }
}

data "aws_iam_policy_document" "dead" {
  count = var.queue == "sns" ? 1 : 0
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead.arn]
    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.prompts[0].arn]
    }
  }
}

resource "aws_sqs_queue_policy" "dead" {
  count     = var.queue == "sns" ? 1 : 0
  queue_url = aws_sqs_queue.dead.url
  policy    = data.aws_iam_policy_document.dead[0].json
}

# SQS keeps a prompt until it is answered. The time in which it is nobody else's is
# six times that of the function, as Lambda wants it.
resource "aws_sqs_queue" "prompts" {
  count                      = var.queue == "sqs" ? 1 : 0
  name                       = "${var.name}-prompts"
  visibility_timeout_seconds = 6 * var.timeout
  message_retention_seconds  = 86400
  sqs_managed_sse_enabled    = true
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn, maxReceiveCount = 3 })
}

resource "aws_lambda_event_source_mapping" "prompts" {
  count                   = var.queue == "sqs" ? 1 : 0
  event_source_arn        = aws_sqs_queue.prompts[0].arn
  function_name           = module.orchestrator.arn
  batch_size              = 1 # nobody waits for another's answer
  function_response_types = ["ReportBatchItemFailures"]
  scaling_config {
    maximum_concurrency = var.concurrency
  }
}
