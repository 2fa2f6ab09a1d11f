variable "name" {
  description = "Prefix of everything that is made."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Where the endpoints are."
  type        = list(string)
}

variable "security_group_ids" {
  description = "What may reach them: HTTPS from the functions."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Whose subnets reach DynamoDB."
  type        = list(string)
}

variable "services" {
  description = "Which services have an endpoint."
  type        = list(string)
}
