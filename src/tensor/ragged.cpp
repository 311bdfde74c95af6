// src/tensor/ragged.cpp
