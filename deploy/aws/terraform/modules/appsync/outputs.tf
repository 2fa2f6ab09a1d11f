output "graphql_url" {
  description = "Of the API."
  value       = aws_appsync_graphql_api.this.uris["GRAPHQL"]
}

output "realtime_url" {
  description = "Of its subscriptions."
  value       = aws_appsync_graphql_api.this.uris["REALTIME"]
}

output "api_key" {
  description = "Of its clients; null if they authenticate otherwise."
  value       = one(aws_appsync_api_key.this[*].key)
  sensitive   = true
}

output "region" {
  description = "Of the API, for its clients."
  value       = data.aws_region.current.region
}
