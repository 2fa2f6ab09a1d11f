output "graphql_url" {
  description = "The AppSync API."
  value       = one(module.appsync[*].graphql_url)
}

output "realtime_url" {
  description = "Where its subscriptions are."
  value       = one(module.appsync[*].realtime_url)
}

output "graphql_api_key" {
  description = "The key of its clients, if they have one."
  value       = one(module.appsync[*].api_key)
  sensitive   = true
}

output "websocket_url" {
  description = "The WebSocket API."
  value       = one(module.websocket[*].url)
}

output "function_url" {
  description = "The function URL."
  value       = one(module.function_url[*].url)
}

output "lex_bot_id" {
  description = "The bot."
  value       = one(module.lex[*].bot_id)
}

output "lex_bot_alias_id" {
  description = "Its alias."
  value       = one(module.lex[*].bot_alias_id)
}

output "lex_websocket_url" {
  description = "streamingWebSocketEndpoint of the Lex Web UI."
  value       = one(module.lex[*].websocket_url)
}

output "lex_table" {
  description = "streamingDynamoDbTable of the Lex Web UI."
  value       = one(module.lex[*].table)
}

output "lex_client_policy" {
  description = "What the role of the UI's identity pool has to allow."
  value       = one(module.lex[*].client_policy)
}
