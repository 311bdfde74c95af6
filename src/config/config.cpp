// src/config/config.cpp
