/** Owns the form of features.json and controllers.json; what spans several entries is checked by parse-catalogue.ts. */
import { Type, type Static } from 'typebox';
import { DOORS } from '../protocol/doors.ts';
import { signingAlgorithms, tokenTypes } from '../protocol/token-header.ts';
import { METHODS, OPERATIONS, ROLES } from './catalogue.ts';
import { PATH_PATTERN } from './route-path.ts';

export type FeatureEntry = Static<typeof featureSchema>;
/** A controller whose routes may be faulty. */
export type ControllerHead = Static<typeof controllerHeadSchema>;
export type ControllerEntry = Static<typeof controllerSchema>;
export type RouteEntry = Static<typeof routeSchema>;

const scope = () =>
  Type.String({
    pattern: '^([A-Za-z0-9._:-]+:(create|read|update|delete|manage)|keyturn:introspect)$',
    description: '<resource>:<action>, the action one of create, read, update, delete, manage',
  });

const name = (description: string) =>
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$', description });

const audience = () =>
  Type.String({ pattern: '^[\\x21-\\x7e]{1,512}$', description: 'a URI or name without white space' });

/** Printable ASCII: the name travels in a header, and in lists that `;` and `,` divide. */
const CONTROLLER_NAME =
  '^[A-Za-z0-9_]([\\x20-\\x2b\\x2d-\\x39\\x3c-\\x7e]*[\\x21-\\x2b\\x2d-\\x39\\x3c-\\x7e])?$';

export const featureSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9._-]*$',
      maxLength: 128,
      description: 'a name of lower-case letters, digits, ".", "_" and "-"',
    }),
    title: Type.Optional(Type.String({ minLength: 1, description: 'a title' })),
    scopes: Type.Array(scope(), {
      minItems: 1,
      uniqueItems: true,
      description: 'a list of one or more scopes, none twice',
    }),
    controllers: Type.Array(
      Type.String({
        pattern: `${CONTROLLER_NAME}|^GraphQL:(\\*|/[\\x21-\\x2b\\x2d-\\x3a\\x3c-\\x7e]*)$`,
        description: 'the name of a controller, GraphQL:* or GraphQL:/path',
      }),
      { uniqueItems: true, description: 'a list of controllers, none twice' },
    ),
    role: Type.Optional(Type.Enum([...ROLES], { description: `one of ${ROLES.join(', ')}` })),
    requiredCustomData: Type.Optional(
      Type.Array(Type.String({ minLength: 1, description: 'the name of a member of customData' }), {
        uniqueItems: true,
        description: 'a list of names, none twice',
      }),
    ),
  },
  { additionalProperties: false, description: 'an object that describes a feature' },
);

export const featuresFileSchema = Type.Object(
  { features: Type.Array(featureSchema, { description: 'a list of features' }) },
  { additionalProperties: false, description: 'an object {"features": [...]}' },
);

export const routeSchema = Type.Object(
  {
    methods: Type.Array(
      Type.Enum([...METHODS], { description: `one of ${METHODS.join(', ')} (GET implies HEAD)` }),
      { minItems: 1, uniqueItems: true, description: 'a list of one or more methods, none twice' },
    ),
    path: Type.String({
      pattern: PATH_PATTERN,
      description: 'a path from / on, its segments plain, :name or, as the last, *name',
    }),
    scope: scope(),
    operation: Type.Optional(Type.Enum([...OPERATIONS], { description: `one of ${OPERATIONS.join(', ')}` })),
    collection: Type.Optional(name('the name of a collection')),
    graphqlPath: Type.Optional(Type.Boolean({ description: 'true or false' })),
  },
  { additionalProperties: false, description: 'an object that describes a route' },
);

export const controllerSchema = Type.Object(
  {
    name: Type.String({
      pattern: CONTROLLER_NAME,
      maxLength: 256,
      description: 'a name of printable ASCII without ":", ";" and ","',
    }),
    audience: Type.Optional(audience()),
    doors: Type.Optional(
      Type.Array(Type.Enum([...DOORS], { description: `one of ${DOORS.join(', ')}` }), {
        minItems: 1,
        uniqueItems: true,
        description: 'a list of one or more doors, none twice',
      }),
    ),
    requireApiKey: Type.Optional(Type.Boolean({ description: 'true or false' })),
    upstream: Type.Optional(
      Type.String({
        format: 'upstream',
        description: 'an http or https URL without user, password, query and fragment',
      }),
    ),
    collection: Type.Optional(name('the name of a collection')),
    elsewhere: Type.Optional(Type.Literal(true, { description: 'true' })),
    forward: Type.Optional(Type.Literal('jwt', { description: '"jwt"' })),
    timeout: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 3600, description: 'a whole number from 1 to 3600 (seconds)' }),
    ),
    routes: Type.Optional(
      Type.Array(routeSchema, { minItems: 1, description: 'a list of one or more routes' }),
    ),
  },
  { additionalProperties: false, description: 'an object that describes a controller' },
);

export const controllerHeadSchema = Type.Object(
  { ...controllerSchema.properties, routes: Type.Optional(Type.Unknown()) },
  { additionalProperties: false },
);

const audienceSchema = Type.Object(
  {
    audience: audience(),
    alg: Type.Optional(
      Type.Enum([...signingAlgorithms], { description: `one of ${signingAlgorithms.join(', ')}` }),
    ),
    typ: Type.Optional(Type.Enum([...tokenTypes], { description: `one of ${tokenTypes.join(', ')}` })),
  },
  {
    additionalProperties: false,
    minProperties: 2,
    description: 'an object {"audience": ..., "alg": ..., "typ": ...}, with alg or typ or both',
  },
);

export const controllersFileSchema = Type.Object(
  {
    controllers: Type.Array(controllerSchema, { description: 'a list of controllers' }),
    audiences: Type.Optional(Type.Array(audienceSchema, { description: 'a list of audiences' })),
  },
  { additionalProperties: false, description: 'an object {"controllers": [...], "audiences": [...]}' },
);
