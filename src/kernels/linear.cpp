// src/kernels/linear.cpp
