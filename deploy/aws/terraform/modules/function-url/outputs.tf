output "url" {
  description = "Of the function."
  value       = aws_lambda_function_url.this.function_url
}

output "function_arn" {
  description = "What a caller that signs has to be allowed to call."
  value       = module.function.arn
}
