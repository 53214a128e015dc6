// One call of each kind through @segment/analytics-node: node node.mjs http://127.0.0.1:PORT
import { Analytics } from '@segment/analytics-node'

const analytics = new Analytics({ writeKey: 'capture', host: process.argv[2] })
const who = { userId: 'user-1', anonymousId: '00000000-0000-4000-8000-00000000a0a0' }
const context = { ip: '192.0.2.1', userAgent: 'capture/1' }
analytics.identify({ ...who, traits: { captured: true } })
analytics.track({ ...who, event: 'Captured', properties: { captured: true } })
analytics.page({ ...who, category: 'Category', name: 'Name', properties: { captured: true } })
analytics.screen({ ...who, name: 'Name', properties: { captured: true } })
analytics.group({ ...who, groupId: 'group-1', traits: { captured: true } })
analytics.alias({ userId: 'user-1', previousId: 'previous-1' })
analytics.track({ ...who, event: 'Captured', properties: { captured: true }, context })
await analytics.closeAndFlush()
