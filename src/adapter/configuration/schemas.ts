/** JSON schemas of launch configurations, as an editor's manifest wants them: by request, without what any client adds itself. */

import { configurationFields, launchFields } from './configuration';
import { propertiesOf } from './fieldTypes';

/** A machine is named in one of two ways. */
const eitherMachine = { anyOf: [{ required: ['link'] }, { required: ['vm'] }] };

export const schemas = {
  attach: { ...eitherMachine, properties: propertiesOf(configurationFields) },
  launch: { ...eitherMachine, properties: propertiesOf({ ...configurationFields, ...launchFields }) },
};
