// Calls the customer API through @alicloud/pop-core, as a customer's program would.
// Reads one JSON document on standard input and prints one JSON line per call; see support/sdk.py.
'use strict';

const { RPCClient } = require('@alicloud/pop-core');

async function outcome(plan, call) {
  const client = new RPCClient({
    accessKeyId: call.key_id,
    accessKeySecret: call.secret,
    endpoint: `${plan.scheme}://${plan.endpoint}`,
    apiVersion: '2017-05-25',
  });
  const params = Object.assign({}, call.params);
  if (plan.format !== 'JSON') {
    params.Format = plan.format;
  }
  try {
    const answer = await client.request(call.action, params, { method: plan.method });
    return { returned: typeof answer, body: JSON.stringify(answer) };
  } catch (error) {
    return {
      raised: error.name,
      code: error.code === undefined ? null : error.code,
      message: error.message,
      status: error.entry ? error.entry.response.statusCode : null,
    };
  } finally {
    client.keepAliveAgent.destroy();
  }
}

async function main() {
  let text = '';
  for await (const chunk of process.stdin) {
    text += chunk;
  }
  const plan = JSON.parse(text);
  if (plan.at_once) {
    const outcomes = await Promise.all(plan.calls.map((call) => outcome(plan, call)));
    outcomes.forEach((one) => console.log(JSON.stringify(one)));
    return;
  }
  for (const call of plan.calls) {
    console.log(JSON.stringify(await outcome(plan, call)));
  }
}

main();
