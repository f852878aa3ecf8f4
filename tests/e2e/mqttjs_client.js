// SPDX-License-Identifier: Apache-2.0
// MQTT.js as anybody would use it: `node mqttjs_client.js VERSION PUBLISH-URL SUBSCRIBE-URL`, with NODE_PATH
// where npm put it. Publishes 20 messages at QoS 1 and 20 at QoS 2 and prints what it hears, a JSON object a line.
'use strict';
const mqtt = require('mqtt');

const [version, publishUrl, subscribeUrl] = process.argv.slice(2);
const COUNT = 20;
const options = { protocolVersion: Number(version), reconnectPeriod: 200 };
const ear = mqtt.connect(subscribeUrl, { ...options, clientId: `js-ear-${version}` });
let heard = 0;
let mouth;

setTimeout(() => {
    console.error(`heard ${heard} of ${2 * COUNT} after 60 s`);
    process.exit(1);
}, 60000).unref();

ear.on('connect', () => {
    ear.subscribe(`s1/js/${version}/#`, { qos: 2 }, (error) => {
        if (error) throw error;
        mouth = mqtt.connect(publishUrl, { ...options, clientId: `js-mouth-${version}` });
        mouth.on('connect', async () => {
            for (const qos of [1, 2]) {
                for (let number = 1; number <= COUNT; number++) {
                    const more = version === '5' ? { properties: { userProperties: { number: String(number) } } } : {};
                    await mouth.publishAsync(`js/${version}/${qos}`, `${number}`, { qos, ...more });
                }
            }
        });
    });
});

ear.on('message', (topic, payload, packet) => {
    console.log(JSON.stringify({ topic, payload: payload.toString(), qos: packet.qos,
        number: packet.properties?.userProperties?.number }));
    heard += 1;
    if (heard === 2 * COUNT) {
        mouth.end(() => ear.end(() => process.exit(0)));
    }
});
