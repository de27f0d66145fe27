"""What the shop sells. Every product comes in two colours; properties are numbers, so that an answer can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

# name, price in USD, warranty in months, weight in kg, width in cm, height in cm, two colours
_RANGE: tuple[tuple[str, float, int, float, int, int, str, str], ...] = (
    ("Halden kettle", 49.0, 36, 1.4, 22, 26, "sage", "slate"),
    ("Brook desk lamp", 64.5, 30, 2.1, 19, 47, "brass", "black"),
    ("Orrin stand mixer", 189.0, 60, 7.8, 38, 36, "cream", "red"),
    ("Tarn wool blanket", 79.0, 12, 1.7, 140, 200, "ochre", "grey"),
    ("Pell bluetooth speaker", 99.0, 18, 0.9, 21, 9, "teal", "black"),
    ("Vesper headphones", 159.0, 24, 0.3, 17, 20, "white", "navy"),
    ("Marlow toaster", 58.0, 42, 2.4, 31, 20, "mint", "steel"),
    ("Fennick air purifier", 229.0, 28, 6.3, 34, 55, "white", "graphite"),
    ("Quill e-reader", 139.0, 14, 0.2, 12, 17, "black", "sand"),
    ("Rowan floor lamp", 119.0, 34, 5.6, 30, 158, "oak", "walnut"),
    ("Sable duvet set", 88.0, 9, 2.6, 155, 220, "plum", "linen"),
    ("Dovetail side table", 134.0, 48, 8.2, 45, 52, "oak", "white"),
    ("Kestrel webcam", 74.0, 16, 0.4, 9, 6, "black", "silver"),
    ("Ember space heater", 109.0, 26, 4.7, 24, 61, "black", "ivory"),
    ("Linden cutlery set", 69.0, 120, 3.1, 26, 8, "steel", "brass"),
    ("Corvid mechanical keyboard", 129.0, 22, 1.1, 37, 4, "grey", "green"),
    ("Wick rice cooker", 84.0, 32, 3.6, 27, 25, "white", "coral"),
    ("Moss bath towel set", 45.0, 6, 1.9, 70, 140, "fern", "sand"),
    ("Anvil cast-iron pan", 72.0, 180, 3.4, 29, 6, "black", "blue"),
    ("Lyra digital radio", 94.0, 20, 1.3, 25, 16, "cherry", "grey"),
    ("Osprey espresso machine", 449.0, 27, 11.5, 32, 41, "steel", "black"),
    ("Meridian 4K monitor", 389.0, 39, 6.9, 61, 53, "black", "white"),
    ("Sorrel robot vacuum", 329.0, 23, 3.9, 35, 10, "white", "black"),
    ("Harbour soundbar", 359.0, 33, 4.2, 96, 7, "black", "grey"),
    ("Bramble lounge chair", 519.0, 54, 18.4, 78, 92, "moss", "rust"),
    ("Tidewater projector", 479.0, 19, 4.4, 30, 12, "white", "black"),
)

_NOT_ELECTRIC = ("blanket", "duvet", "table", "cutlery", "towel", "pan", "chair")


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One article in one colour."""

    id: str
    model: str
    """Name without the colour."""
    colour: str
    price: float
    """USD."""
    warranty_months: int
    weight_kg: float
    width_cm: int
    height_cm: int

    @property
    def is_electric(self) -> bool:
        """Whether it has a plug or a battery."""
        return not any(word in self.model for word in _NOT_ELECTRIC)

    @property
    def name(self) -> str:
        """Name as orders and customers use it."""
        return f"{self.model} ({self.colour})"


def _pair(number: int) -> tuple[Product, Product]:
    model, price, warranty, weight, width, height, first, second = _RANGE[number]

    def product(colour: str, suffix: int) -> Product:
        return Product(
            id=f"P-{2010 + 20 * number + suffix}",
            model=model,
            colour=colour,
            price=price,
            warranty_months=warranty,
            weight_kg=weight,
            width_cm=width,
            height_cm=height,
        )

    return product(first, 1), product(second, 2)


@cache
def products() -> dict[str, Product]:
    """The whole range by id; shared by all worlds and never changed."""
    return {product.id: product for number in range(len(_RANGE)) for product in _pair(number)}


def sibling(product: Product) -> Product:
    """The same model in its other colour."""
    return next(other for other in products().values() if other.model == product.model and other.id != product.id)
