/** A server of its own that guards itself: orders, for whoever has a key for them. */
import express, { type Express } from 'express';
// In an application of your own: from 'keyturn/express'.
import { type ExpressGuard, grantedCaller } from '../../src/middleware/express.ts';

export function createOrders(guard: ExpressGuard): Express {
  const orders = [{ id: 1, item: 'Lamp' }];
  const mayRead = guard({ controller: 'Shop.Orders', scope: 'orders:read' });
  const mayCreate = guard({ controller: 'Shop.Orders', scope: 'orders:create' });

  const app = express().use(express.json());
  app.get('/orders', mayRead, (req, res) => {
    res.json({ orders, for: grantedCaller(req).feature });
  });
  app.post('/orders', mayCreate, (req, res) => {
    const order = { id: orders.length + 1, item: String((req.body as { item?: unknown }).item) };
    orders.push(order);
    res.status(201).json(order);
  });
  return app;
}
