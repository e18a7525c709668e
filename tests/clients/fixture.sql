-- What the recorded catalog queries are asked about.
CREATE TABLE customers (
    id int PRIMARY KEY,
    name text NOT NULL,
    email varchar(100),
    created timestamptz DEFAULT now()
);
CREATE TABLE orders (
    id serial PRIMARY KEY,
    customer_id int NOT NULL,
    amount numeric(10, 2) NOT NULL DEFAULT 0,
    note text DEFAULT 'none',
    CHECK (amount >= 0)
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE VIEW big_orders AS
    SELECT o.id, c.name, o.amount
    FROM orders o JOIN customers c ON c.id = o.customer_id
    WHERE o.amount > 100;
COMMENT ON TABLE orders IS 'all orders';
COMMENT ON COLUMN orders.note IS 'free text';
