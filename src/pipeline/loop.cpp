// src/pipeline/loop.cpp
