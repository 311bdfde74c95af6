// src/model/model_config.cpp
