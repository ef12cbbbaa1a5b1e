"""From a trained network to a phone: conversion to TFLite, quantisation, proof of equality, timing."""
