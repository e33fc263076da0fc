/** What the built-in collections answer, and how the clients of other systems read a refusal, as schemas. */
import { Type } from 'typebox';
import { problems } from '../../protocol/errors.ts';

const context = Type.Object({ pageEditing: Type.Boolean(), language: Type.String() });
const anything = { additionalProperties: true };

export const resourceSchemas = {
  Document: Type.Object(
    {
      href: Type.String({ format: 'uri' }),
      ref: Type.String({ format: 'uuid' }),
      revision: Type.Integer(),
      modifiedAt: Type.String({ format: 'date-time' }),
      modifiedByRef: Type.String(),
      archived: Type.Unknown(),
    },
    { ...anything, description: 'What was written, and what the service adds.' },
  ),
  DocumentList: Type.Object({
    href: Type.String({ format: 'uri' }),
    items: Type.Array(Type.Unsafe({ $ref: '#/components/schemas/Document' })),
  }),
  TestedDocument: Type.Object({ results: Type.Array(Type.Unknown()) }, anything),
  AnyDocument: Type.Object({}, anything),
  LayoutPage: Type.Object({
    sitecore: Type.Object({
      context,
      route: Type.Union([
        Type.Object({
          name: Type.String(),
          displayName: Type.String(),
          fields: Type.Object({}, anything),
          placeholders: Type.Object({}, anything),
        }),
        Type.Null(),
      ]),
    }),
  }),
  LayoutPlaceholder: Type.Object({
    sitecore: Type.Object({ context }),
    elements: Type.Array(Type.Unknown()),
  }),
  Dictionary: Type.Object({
    app: Type.String(),
    lang: Type.String(),
    phrases: Type.Record(Type.String(), Type.String()),
  }),
  GraphqlRequest: Type.Object(
    {
      query: Type.String(),
      operationName: Type.Optional(Type.Unknown()),
      variables: Type.Optional(Type.Unknown()),
    },
    anything,
  ),
  GraphqlAnswer: Type.Object({ data: Type.Object({}, anything) }),
  GraphqlErrors: Type.Object({
    errors: Type.Array(
      Type.Object({
        message: Type.String(),
        extensions: Type.Optional(Type.Object({ code: Type.Enum(Object.keys(problems)) })),
      }),
    ),
  }),
  ODataItems: Type.Object({ value: Type.Array(Type.Unknown()) }),
  SitefinityError: Type.Object({
    error: Type.Object({ code: Type.String(), message: Type.String() }),
  }),
};
