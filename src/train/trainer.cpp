// src/train/trainer.cpp
