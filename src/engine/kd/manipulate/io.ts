/**
 * The machine's own spaces: I/O ports, model-specific registers, buses.
 *
 *   Read/WriteIoSpace           16 u64 port   24 u32 size (1, 2, 4)   28 u32 value
 *   Read/WriteIoSpaceExtended   16 u32 size   20 u32 interfaceType   24 u32 bus   28 u32 addressSpace   32 u64 port   40 u32 value
 *   Read/WriteMsr               16 u32 msr   20 u32 low   24 u32 high
 *   Get/SetBusData              16 u32 type (4 = PCI configuration)   20 u32 bus   24 u32 slot   28 u32 offset   32 u32 length   data
 *
 * None may be repeated by itself: reading a port or register can change the device.
 */

import { hex32, u32, u64 } from '../../core/layout';
import { defineApi } from './message';

const port = { port: [16, u64], size: [24, u32] } as const;
const value = { value: [28, hex32] } as const;

export const readIoSpace = defineApi({
  number: 0x3139,
  name: 'ReadIoSpace',
  request: port,
  reply: { ...port, ...value },
  repeatable: false,
});

export const writeIoSpace = defineApi({
  number: 0x313a,
  name: 'WriteIoSpace',
  request: { ...port, ...value },
  reply: { ...port, ...value },
  repeatable: false,
});

const extended = {
  size: [16, u32],
  interfaceType: [20, u32],
  busNumber: [24, u32],
  addressSpace: [28, u32],
  port: [32, u64],
} as const;
const extendedValue = { value: [40, hex32] } as const;

export const readIoSpaceExtended = defineApi({
  number: 0x3144,
  name: 'ReadIoSpaceExtended',
  request: extended,
  reply: { ...extended, ...extendedValue },
  repeatable: false,
});

export const writeIoSpaceExtended = defineApi({
  number: 0x3145,
  name: 'WriteIoSpaceExtended',
  request: { ...extended, ...extendedValue },
  reply: { ...extended, ...extendedValue },
  repeatable: false,
});

const register = { msr: [16, hex32], low: [20, hex32], high: [24, hex32] } as const;

export const readMsr = defineApi({
  number: 0x3152,
  name: 'ReadMsr',
  request: { msr: register.msr },
  reply: register,
  repeatable: false,
});

export const writeMsr = defineApi({
  number: 0x3153,
  name: 'WriteMsr',
  request: register,
  reply: register,
  repeatable: false,
});

const busData = {
  busDataType: [16, u32],
  busNumber: [20, u32],
  slotNumber: [24, u32],
  offset: [28, u32],
  length: [32, u32],
} as const;

/** `busDataType` of PCI configuration space. */
export const pciConfiguration = 4;

export const getBusData = defineApi({
  number: 0x3157,
  name: 'GetBusData',
  request: busData,
  reply: busData,
  repeatable: false,
});
export const setBusData = defineApi({
  number: 0x3158,
  name: 'SetBusData',
  request: busData,
  reply: busData,
  repeatable: false,
});
