locals {
  common = {
    packages           = var.packages
    log_retention_days = var.log_retention_days
    alarm_topic_arns   = var.alarm_topic_arns
    vpc                = var.vpc == null ? null : { subnet_ids = var.vpc.subnet_ids, security_group_ids = var.vpc.security_group_ids }
  }
  model = {
    name   = var.model
    arns   = startswith(var.model, "bedrock/") ? var.model_arns : []
    system = var.system_prompt
  }
  callers = {
    issuer         = var.issuer
    client_ids     = var.client_ids
    api_key_hashes = var.api_key_hashes
  }
}

module "appsync" {
  source = "./modules/appsync"
  count  = contains(var.designs, "appsync") ? 1 : 0

  name            = "${var.name}-appsync"
  common          = local.common
  model           = local.model
  mutation        = var.appsync_mutation
  queue           = var.appsync_queue
  authentication  = var.appsync_authentication
  user_pool_id    = var.appsync_user_pool_id
  api_key_expires = var.appsync_api_key_expires
  private         = var.appsync_private
}

module "websocket" {
  source = "./modules/websocket"
  count  = contains(var.designs, "websocket") ? 1 : 0

  name           = "${var.name}-websocket"
  common         = local.common
  model          = local.model
  authentication = var.websocket_authentication
  callers        = local.callers
}

module "function_url" {
  source = "./modules/function-url"
  count  = contains(var.designs, "function-url") ? 1 : 0

  name           = "${var.name}-url"
  common         = local.common
  model          = local.model
  authentication = var.function_url_authentication
  callers        = local.callers
  origins        = var.function_url_origins
}

module "lex" {
  source = "./modules/lex"
  count  = contains(var.designs, "lex") ? 1 : 0

  name   = "${var.name}-lex"
  common = local.common
  model  = local.model
}

module "endpoints" {
  source = "./modules/endpoints"
  count  = try(var.vpc.endpoints, false) ? 1 : 0

  name               = var.name
  vpc_id             = var.vpc.id
  subnet_ids         = var.vpc.subnet_ids
  security_group_ids = var.vpc.security_group_ids
  route_table_ids    = var.vpc.route_table_ids
  services = concat(
    ["bedrock-runtime"],
    contains(var.designs, "appsync") ? [var.appsync_queue, "appsync-api"] : [],
    contains(var.designs, "websocket") || contains(var.designs, "lex") ? ["execute-api", "lambda"] : [],
  )
}
