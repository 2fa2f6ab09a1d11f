import { util } from '@aws-appsync/utils';

export function request(ctx) {
  return { payload: { ...ctx.args.input, timeStamp: util.time.nowISO8601() } };
}

export function response(ctx) {
  return ctx.result;
}
