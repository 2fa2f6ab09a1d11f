output "url" {
  description = "Where clients connect."
  value       = "${aws_apigatewayv2_api.this.api_endpoint}/${aws_apigatewayv2_stage.this.name}"
}

output "management_url" {
  description = "Where connections are posted to."
  value       = "${replace(aws_apigatewayv2_api.this.api_endpoint, "wss://", "https://")}/${aws_apigatewayv2_stage.this.name}"
}

output "connect_arn" {
  description = "What a client with a signed URL has to be allowed to invoke."
  value       = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/$connect"
}

output "connections_arn" {
  description = "The connections that may be posted to."
  value       = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage}/POST/@connections/*"
}
