// JavaScript's HTTP clients: one call with the client that is named, and its answer as it came.
// The packages are found by NODE_PATH.
"use strict";

const headers = { authorization: "Bearer sk-test-000", "content-type": "application/json" };

function withHttps(url, body, agent) {
  return new Promise((resolve, reject) => {
    const request = require("node:https").request(url, { method: "POST", headers, agent }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (piece) => (text += piece));
      answer.on("end", () => resolve(text));
    });
    request.on("error", reject).end(body);
  });
}

async function withFetch(url, body) {
  return (await fetch(url, { method: "POST", headers, body })).text();
}

const clients = {
  fetch: withFetch,

  // As an application does that wants its built-in fetch to heed the environment.
  fetch_undici(url, body) {
    const { EnvHttpProxyAgent, setGlobalDispatcher } = require("undici");
    setGlobalDispatcher(new EnvHttpProxyAgent());
    return withFetch(url, body);
  },

  https: (url, body) => withHttps(url, body),

  https_proxy_agent(url, body) {
    const { HttpsProxyAgent } = require("https-proxy-agent");
    return withHttps(url, body, new HttpsProxyAgent(process.env.HTTPS_PROXY));
  },

  async axios(url, body) {
    return JSON.stringify((await require("axios").post(url, body, { headers })).data);
  },
};

const [name, url, body] = process.argv.slice(2);
clients[name](url, body).then(console.log, (error) => {
  console.error(error);
  process.exitCode = 1;
});
