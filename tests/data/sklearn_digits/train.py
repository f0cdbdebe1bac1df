"""Handwritten digits with a small network."""

import argparse

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler


def train(args):
    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(images, labels, test_size=0.3, random_state=0, stratify=labels)
    scaler = StandardScaler().fit(x_train)
    model = MLPClassifier(
        hidden_layer_sizes=(args.hidden,),
        learning_rate_init=args.lr,
        alpha=args.weight_decay,
        batch_size=64,
        max_iter=1,
        warm_start=True,
        random_state=args.seed,
    )
    for epoch in range(args.epochs):
        model.partial_fit(scaler.transform(x_train), y_train, classes=range(10))
        print(f"epoch {epoch}: training loss {model.loss_:.4f}")
    accuracy = model.score(scaler.transform(x_test), y_test)
    test_loss = log_loss(y_test, model.predict_proba(scaler.transform(x_test)))
    print(f"test accuracy: {accuracy:.4f}, test loss: {test_loss:.4f}")
    return accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train(args)


if __name__ == "__main__":
    main()
