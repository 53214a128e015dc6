// One call of each kind through the JavaScript half of @segment/analytics-react-native, under Node:
//   node native.cjs http://127.0.0.1:PORT
// The native half of the SDK only answers one question, getContextInfo; what a phone answers stands here.
const Module = require('module')

globalThis.__DEV__ = false
const contextInfo = {
  appName: 'app-name', appVersion: 'app-version', buildNumber: 'app-build', bundleId: 'app-namespace',
  deviceId: 'device-id', deviceName: 'device-name', deviceType: 'device-type', manufacturer: 'device-manufacturer',
  model: 'device-model', osName: 'os-name', osVersion: 'os-version', locale: 'locale-1', timezone: 'timezone-1',
  networkType: 'wifi', screenWidth: 1001, screenHeight: 1002, screenDensity: 1003,
}
const AnalyticsReactNative = { getContextInfo: async () => contextInfo, addListener() {}, removeListeners() {} }
const stubs = {
  'react': { default: { createContext: () => ({}) }, createContext: () => ({}) },
  'react-native': {
    NativeModules: { AnalyticsReactNative, Sovran: AnalyticsReactNative },
    NativeEventEmitter: class { addListener() { return { remove() {} } } },
    Platform: { OS: 'ios', select: (by) => by.ios ?? by.default },
    AppState: { currentState: 'active', addEventListener: () => ({ remove() {} }) },
    TurboModuleRegistry: { get: () => AnalyticsReactNative, getEnforcing: () => AnalyticsReactNative },
  },
  '@react-native-async-storage/async-storage': {
    __esModule: true, default: { getItem: async () => null, setItem: async () => {}, removeItem: async () => {} },
  },
}
const load = Module._load
Module._load = function (name, ...rest) { return stubs[name] ?? load.call(this, name, ...rest) }

const listener = process.argv[2]
const realFetch = globalThis.fetch
globalThis.fetch = (url, options) =>
  String(url).includes('cdn-settings')
    ? Promise.resolve(new Response('{"integrations":{"Segment.io":{"apiKey":"capture"}}}'))
    : realFetch(String(url).replace('https://api.segment.io', listener), options)

const { createClient } = require('@segment/analytics-react-native')
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

;(async () => {
  const client = createClient({ writeKey: 'capture', flushAt: 100, collectDeviceId: true })
  await sleep(1500)
  await client.screen('Name', { captured: true })
  await client.track('Captured', { captured: true })  // before anybody logs in
  await client.identify('user-1', { captured: true })
  await client.track('Captured', { captured: true })
  await client.group('group-1', { captured: true })
  await client.alias('user-2')
  await sleep(500)
  await client.flush()
  await sleep(1000)
  process.exit(0)
})()
