output "bot_id" {
  description = "Of the bot."
  value       = aws_cloudformation_stack.bot.outputs["BotId"]
}

output "bot_alias_id" {
  description = "Of its alias."
  value       = aws_cloudformation_stack.bot.outputs["AliasId"]
}

output "websocket_url" {
  description = "Where the UI connects."
  value       = module.websocket.url
}

output "table" {
  description = "The table of connections."
  value       = aws_dynamodb_table.connections.name
}

output "client_policy" {
  description = "What the role of the UI's identity pool has to allow."
  value       = data.aws_iam_policy_document.client.json
}
